package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"windtunnel/triton_bench/load"
	"windtunnel/triton_bench/sample"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file of testdata; a difference is to be looked at, and then -update writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant\n%s", path, got, want)
	}
}

// closedRun is a sound closed loop with a failure; openRun one in steps that the instrument limited.
func closedRun() *Summary {
	s := closedScript(8)
	s.dials = 9
	s.failures = map[sample.Failure]string{sample.ResetFailure: "read: connection reset by peer"}
	var rows []sample.Row
	for i := range int64(400) {
		rows = append(rows, answered(1e9+i*24e6, 10+float64(i)/10))
	}
	return Summarize(counted(s, append(rows, failed(9e9, 3, sample.ResetFailure))...),
		Asked{Body: "multipart", CeilingRPS: 42_000})
}

func openRun(t *testing.T) *Summary {
	s := openScript(t)
	s.config.Client, s.config.HTTP2 = load.NetHTTP, true
	s.config.Steps = []load.Step{
		{Name: "10 a second", Rate: 10, StartNS: 1e9, EndNS: 6e9},
		{Name: "200 a second", Rate: 200, StartNS: 6e9, EndNS: 11e9},
	}
	s.interrupted, s.queued, s.dials, s.usage.BusiestLaneShare = true, 12, 64, 0.93
	var rows []sample.Row
	for i := range int64(50) {
		rows = append(rows, answered(1e9+i*100e6, 20))
	}
	for i := range int64(700) {
		row := answered(6e9+i*5e6, 100)
		row.SentNS += 40e6
		rows = append(rows, row)
	}
	for i := range int64(40) {
		rows = append(rows, failed(6.5e9+i*5e6, 2000, sample.TimeoutFailure))
	}
	return Summarize(counted(s, rows...), Asked{Body: "raw"})
}

func TestTheSummaryAsJSON(t *testing.T) {
	for name, s := range map[string]*Summary{"closed.json": closedRun(), "open.json": openRun(t)} {
		var line, indented bytes.Buffer
		if err := json.NewEncoder(&line).Encode(s); err != nil {
			t.Fatal(err)
		}
		if bytes.Count(line.Bytes(), []byte("\n")) != 1 {
			t.Errorf("%s: not one line", name)
		}
		if err := json.Indent(&indented, line.Bytes(), "", " "); err != nil {
			t.Fatal(err)
		}
		golden(t, name, indented.String())
	}
}

// The campaign runner and the analysis read these; they may not go or change their meaning.
func TestTheKeysOfTheFirstVersionAreAllThere(t *testing.T) {
	line, err := json.Marshal(closedRun())
	if err != nil {
		t.Fatal(err)
	}
	var top, instrument map[string]json.RawMessage
	if err := json.Unmarshal(line, &top); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(top["instrument"], &instrument); err != nil {
		t.Fatal(err)
	}
	for keys, in := range map[string]map[string]json.RawMessage{
		"version tool loop url clients rate seed body images started_unix_ns warmup_s duration_s window accounting " +
			"measured errors throughput_rps response_ms service_ms instrument interrupted": top,
		"send_lag_p50_ms send_lag_p99_ms send_lag_max_ms offered_rps achieved_rps cpu_s wall_s gomaxprocs " +
			"gc_pause_max_ms sched_latency_p99_ms rss_max_bytes connections queued_for_connection": instrument,
	} {
		for key := range strings.FieldsSeq(keys) {
			if _, ok := in[key]; !ok {
				t.Errorf("no %s among %v", key, slices.Sorted(maps.Keys(in)))
			}
		}
	}
}

func TestTheSummaryForPeople(t *testing.T) {
	for name, s := range map[string]*Summary{"closed.txt": closedRun(), "open.txt": openRun(t)} {
		var text strings.Builder
		s.Print(&text)
		golden(t, name, text.String())
	}
}

func TestADoubtfulMeasurementSaysSoFirst(t *testing.T) {
	var text strings.Builder
	openRun(t).Print(&text)
	if !strings.HasPrefix(text.String(), "INVALID    send lag: P99 is 40.0") {
		t.Error(text.String())
	}
}

func TestASummaryOfNothingHasNoZerosForNumbers(t *testing.T) {
	s := Summarize(counted(closedScript(1)), Asked{})
	if s.ResponseMS != (Latencies{}) || s.Instrument.SendLagP99MS != nil {
		t.Errorf("%+v", s)
	}
	if !s.Instrument.Valid || s.Instrument.Reasons == nil {
		t.Errorf("%+v", s.Instrument)
	}
	if s.FirstExample() != "" || *s.ThroughputRPS != 0 || s.CeilingRPS != nil || s.Steps == nil {
		t.Errorf("%+v", s)
	}
}

func TestASummaryLeavesOutWhatTooFewRequestsCannotSay(t *testing.T) {
	for n, want := range map[int][3]bool{0: {}, 71: {true}, 72: {true, true}, 367: {true, true}, 368: {true, true, true}} {
		d := sample.NewDistribution()
		for range n {
			d.Add(1, false)
		}
		l := latencies(d)
		if got := [3]bool{l.P50 != nil, l.P95 != nil, l.P99 != nil}; got != want {
			t.Errorf("%d requests: %v, want %v", n, got, want)
		}
	}
}

func TestSeveralLoadsAreATable(t *testing.T) {
	first, second := closedRun(), openRun(t)
	first.Name = "c0008"
	var text strings.Builder
	PrintTable(&text, []*Summary{first, closedRun(), second})
	golden(t, "table.txt", text.String())
}
