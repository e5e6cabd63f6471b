package sample

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// answered is a row of an ok answer, due at a time and done 5 ms later.
func answered(dueNS int64) Row {
	return Row{
		DueNS: dueNS, SentNS: dueNS + 1e5, FirstByteNS: dueNS + 4e6, DoneNS: dueNS + 5e6, BytesIn: 10, BytesOut: 20,
		Status: 200, StagesUS: NoStages, Trace: [16]byte{0xab, 15: 0x01},
	}
}

func written(t *testing.T, rows []Row, w Window, issued int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.parquet")
	f, err := Create(path, []string{"cat.jpg", "dog.jpg"}, func(ns int64) bool { return ns >= 1e9 })
	if err != nil {
		t.Fatal(err)
	}
	defer f.Discard()
	if err := f.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := f.Finish(w, issued); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheFileHoldsTheRowsAndWhatTheyAddUpTo(t *testing.T) {
	ok, waiting := answered(1e9), Row{
		DueNS: 5e8, SentNS: 9e8, FirstByteNS: None, DoneNS: 9e8, Client: None, Image: 1, StagesUS: NoStages,
		Failure: CensoredFailure, NeverSent: true,
	}
	ok.StagesUS[4] = 12500
	w := Window{StartUnixNS: 1_700_000_000_000_000_000, MeasureStartNS: 1e9, MeasureEndNS: 2e9}
	path := written(t, []Row{waiting, ok}, w, 2)
	rows, err := parquet.ReadFile[record](path)
	if err != nil {
		t.Fatal(err)
	}
	first, inferUS := int64(1e9+4e6), int32(12500)
	want := []record{
		{Due: 5e8, Sent: 9e8, Done: 9e8, Error: "censored", Image: "dog.jpg", Client: -1, Phase: "warmup"},
		{Due: 1e9, Sent: 1e9 + 1e5, FirstByte: &first, Done: 1e9 + 5e6, Status: 200, BytesIn: 10, BytesOut: 20,
			Image: "cat.jpg", Infer: &inferUS, TraceID: "ab" + strings.Repeat("0", 28) + "01", Phase: "measure"},
	}
	if !reflect.DeepEqual(rows, want) {
		t.Errorf("%+v\nwant\n%+v", rows, want)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, _ := file.Stat()
	opened, err := parquet.OpenFile(file, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	var accounting Accounting
	note, _ := opened.Lookup("windtunnel.accounting")
	if json.Unmarshal([]byte(note), &accounting) != nil || accounting != (Accounting{Issued: 2, OK: 1, Censored: 1}) {
		t.Errorf("accounting %s", note)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDueTimesAreReadBackInOrder(t *testing.T) {
	const n = rowsPerGroup + 5000
	rows, want := make([]Row, n), make([]int64, n)
	for i := range rows {
		want[i] = int64(i) * 1000
		rows[n-1-i] = answered(want[i])
	}
	w := Window{StartUnixNS: 7, MeasureStartNS: 1e9, MeasureEndNS: 2e9}
	got, window, err := ReadDueNS(written(t, rows, w, n))
	if err != nil || window != w || !slices.Equal(got, want) {
		t.Errorf("%d due times, window %+v, %v", len(got), window, err)
	}
}

func TestWhatIsNoSampleFileIsNotReplayed(t *testing.T) {
	folder := t.TempDir()
	text, other, cut := filepath.Join(folder, "a.txt"), filepath.Join(folder, "b"), filepath.Join(folder, "c")
	os.WriteFile(text, []byte("due_ns\n1\n"), 0o600)
	if err := parquet.WriteFile(other, []struct{ X int64 }{{1}}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(written(t, []Row{answered(1)}, Window{}, 1))
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(cut, whole[:len(whole)-10], 0o600)
	for path, says := range map[string]string{
		filepath.Join(folder, "none"): "no such file", text: "not a complete Parquet file",
		other: "samples of version \"\"", cut: "not a complete Parquet file",
	} {
		_, _, err := ReadDueNS(path)
		if err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want %q", err, says)
		}
	}
}

func TestAFileThatIsNotFinishedLeavesNothing(t *testing.T) {
	folder := t.TempDir()
	f, err := Create(filepath.Join(folder, "s.parquet"), []string{"a"}, func(int64) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Write([]Row{answered(0)}); err != nil {
		t.Fatal(err)
	}
	f.Discard()
	if left, _ := os.ReadDir(folder); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAFileThatCannotBeWrittenIsSaidAtOnce(t *testing.T) {
	folder := t.TempDir()
	for path, says := range map[string]string{folder: "is a folder", "/nowhere/x.parquet": "can be written to"} {
		if _, err := Create(path, nil, nil); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want %q", err, says)
		}
		if _, err := CreateHistogramLog(path, nil, nil); err == nil || !strings.Contains(err.Error(), "--hlog "+path) {
			t.Errorf("%v; want it to name --hlog", err)
		}
	}
}
