package sample

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const startUnixNS = 1_795_457_848_252_607_543

// logged writes rows that are measured from one second on, in chunks as lanes hand them over.
func logged(t *testing.T, chunks ...[]Row) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run.hlog")
	l, err := CreateHistogramLog(path, func() int64 { return startUnixNS }, func(ns int64) bool { return ns >= 1e9 })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Discard()
	for _, rows := range chunks {
		if err := l.Write(rows); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Finish(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	return path
}

type line struct {
	tag     string
	startMS int64
}

// readLog reads a log with HdrHistogram's reader; it fails when two lines are of one second and tag.
func readLog(t *testing.T, path string) (lines map[line]*hdrhistogram.Histogram, inOrder []line) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	reader := hdrhistogram.NewHistogramLogReader(file)
	lines = map[line]*hdrhistogram.Histogram{}
	for {
		histogram, err := reader.NextIntervalHistogram()
		if err != nil {
			t.Fatal(err)
		}
		if histogram == nil {
			return lines, inOrder
		}
		l := line{histogram.Tag(), histogram.StartTimeMs()}
		if lines[l] != nil {
			t.Errorf("two lines for %v", l)
		}
		lines[l] = histogram
		inOrder = append(inOrder, l)
	}
}

func TestALogHoldsEachSecondAndTag(t *testing.T) {
	slow, late := answered(1.5e9), answered(2.9e9)
	slow.Failure, slow.DoneNS = TimeoutFailure, 4.5e9
	var third []Row
	for i := range int64(100) {
		third = append(third, answered(3e9+i*1e6))
	}
	lines, order := readLog(t, logged(t,
		[]Row{answered(0.5e9), answered(1e9), answered(1.1e9)}, // the first is of the warm-up
		third, []Row{late}, []Row{slow}))
	const t0 = startUnixNS / 1_000_000
	want := map[line]int64{
		{"response", t0 + 1000}: 2, {"service", t0 + 1000}: 2, {"send_lag", t0 + 1000}: 2,
		{"response", t0 + 2000}: 1, {"service", t0 + 2000}: 1, {"send_lag", t0 + 2000}: 1,
		{"response", t0 + 3000}: 100, {"service", t0 + 3000}: 100, {"send_lag", t0 + 3000}: 100,
		{"failed", t0 + 4000}: 1, {"send_lag", t0 + 4000}: 1,
	}
	if len(lines) != len(want) {
		t.Errorf("%d lines, want %d: %v", len(lines), len(want), order)
	}
	for at, count := range want {
		if lines[at] == nil || lines[at].TotalCount() != count {
			t.Errorf("%v: not %d requests", at, count)
		}
	}
	for i := 1; i < len(order); i++ {
		if order[i].startMS < order[i-1].startMS {
			t.Errorf("%v after %v", order[i], order[i-1])
		}
	}
	response, failed := lines[line{"response", t0 + 1000}], lines[line{"failed", t0 + 4000}]
	if response == nil || failed == nil {
		t.FailNow()
	}
	if got := response.ValueAtPercentile(50); got < 5e6 || got > 5e6*1.001 {
		t.Errorf("response P50 %d ns, want 5 ms", got)
	}
	if got := failed.Max(); got < 3e9 || got > 3e9*1.001 {
		t.Errorf("given up after %d ns, want 3 s", got)
	}
}

func TestARowThatComesLateIsCountedInTheOldestOpenSecond(t *testing.T) {
	lines, _ := readLog(t, logged(t, []Row{answered(1e9)}, []Row{answered(9e9)}, []Row{answered(1.2e9)}))
	const t0 = startUnixNS / 1_000_000
	if late := lines[line{"response", t0 + 8000}]; late == nil || late.TotalCount() != 1 || len(lines) != 9 {
		t.Errorf("%d lines", len(lines))
	}
}

func TestTheHeadIsThereWithoutARequest(t *testing.T) {
	text, err := os.ReadFile(logged(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"#[Histogram log format version 1.3]\n",
		"#[StartTime: 1795457848.252 (seconds since epoch), 2026-11-23T18:17:28Z]\n",
		"#[BaseTime: 1795457848.252 (seconds since epoch)]\n",
		"\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestATimeLongerThanADayIsADay(t *testing.T) {
	row := answered(1e9)
	row.DoneNS = row.DueNS + 3*highestNS
	lines, _ := readLog(t, logged(t, []Row{row}))
	for l, histogram := range lines {
		if l.tag == "response" && (histogram.Max() < highestNS || float64(histogram.Max()) > 1.001*float64(highestNS)) {
			t.Errorf("%d ns", histogram.Max())
		}
	}
}
