package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"windtunnel/triton_bench/load"
	"windtunnel/triton_bench/sample"
)

func TestAMomentIsTheLastSecondAndTheMeasuredTimeSoFar(t *testing.T) {
	s := closedScript(4, load.Step{Name: "burst 1", StartNS: 1e9, EndNS: 3e9})
	tally := counted(s, answered(0.2e9, 80), answered(0.3e9, 80))
	s.nowNS.Store(0.5e9)
	m, done, at := tally.moment(0, 0)
	if m.Phase != "warmup" || *m.RPS != 4 || *m.P50MS != 80 || *m.TotalS != 11 || m.Step != "" || done != 2 {
		t.Errorf("%+v", m)
	}
	tally.Count([]sample.Row{answered(1.1e9, 10), failed(1.2e9, 1, sample.ResetFailure), answered(1.3e9, 10)})
	s.nowNS.Store(1.5e9)
	s.inFlight = 4
	m, _, _ = tally.moment(done, at)
	if m.Phase != "measure" || *m.RPS != 2 || *m.P50MS != 10 || m.Errors != 1 || m.InFlight != 4 || m.Step != "burst 1" {
		t.Errorf("%+v", m)
	}
}

func TestProgressIsPrintedAsAsked(t *testing.T) {
	for how, says := range map[string]string{
		"plain": "    2 s of 11 s  measure       1.0 ok/s  P50    10.00 ms  P99    10.00 ms  0 errors  0 in flight\n",
		"auto":  "    2 s of 11 s",
		"line":  "\r    2 s of 11 s",
		"json":  `{"elapsed_s":2,"total_s":11,"phase":"measure","rps":1,`,
		"none":  "",
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			to, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
			if err != nil {
				t.Fatal(err)
			}
			defer to.Close()
			s := closedScript(1)
			s.nowNS.Store(2e9)
			p := StartProgress(counted(s, answered(1.1e9, 10), answered(1.2e9, 10)), how, to)
			time.Sleep(1100 * time.Millisecond)
			p.End()
			said, err := os.ReadFile(to.Name())
			if err != nil || !strings.HasPrefix(string(said), says) || (says == "") != (len(said) == 0) {
				t.Errorf("%q, want %q", said, says)
			}
			var m Moment
			if how == "json" && json.Unmarshal(said, &m) != nil {
				t.Errorf("not JSON: %s", said)
			}
		})
	}
}
