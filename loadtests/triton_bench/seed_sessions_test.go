package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"windtunnel/triton_bench/report"
)

// Defect 8: "peak throughput" and "optimal clients" were the highest of single noisy runs.
func TestTheNumberOfClientsIsTheSmallestThatComesNearTheBest(t *testing.T) {
	for _, given := range []struct {
		reached []float64
		want    int
	}{
		{[]float64{100}, 0}, {[]float64{100, 200, 400, 401, 404}, 2}, {[]float64{100, 200, 400, 430}, 3},
		{[]float64{400, 410, 300}, 0}, {[]float64{0, 0}, 0}, {[]float64{95, 100}, 0}, {[]float64{94, 100}, 1},
	} {
		if got := enough(given.reached); got != given.want {
			t.Errorf("of %v number %d was taken, want %d", given.reached, got, given.want)
		}
	}
}

func TestSustainedHoldsTheNumberOfClientsThatItFound(t *testing.T) {
	t.Parallel()
	slots := make(chan struct{}, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		slots <- struct{}{}
		time.Sleep(10 * time.Millisecond)
		<-slots
	}))
	t.Cleanup(server.Close)
	got := program(t, quickly(t, server.URL, 1, "--mode", "sustained", "--matrix-clients", "1,2,3,4", "--duration", "400ms")...)
	all := decoded[several](t, got.stdout)
	if got.status != exitMeasured || len(all.Runs) < 3 {
		t.Fatalf("status %d, %d loads; %s", got.status, len(all.Runs), got.stderr)
	}
	tries, held := all.Runs[:len(all.Runs)-1], all.Runs[len(all.Runs)-1]
	var reached []float64
	for i, s := range tries {
		reached = append(reached, *s.ThroughputRPS)
		if *s.Clients != i+1 || s.Window.MeasureEndNS != int64(probeDuration) {
			t.Errorf("try %d: %d clients until %d", i, *s.Clients, s.Window.MeasureEndNS)
		}
		if i < len(tries)-1 && *s.ThroughputRPS < worthwhile*slices.Max(reached) {
			t.Errorf("it went on after %v", reached)
		}
	}
	if !strings.HasPrefix(held.Name, "sustained") || *held.Clients != enough(reached)+1 || held.Window.MeasureEndNS != 400_000_000 {
		t.Errorf("%s: %d clients were held after %v", held.Name, *held.Clients, reached)
	}
}

// Defect 10: all tracks were asked for the same /health, and percentages were taken of nothing.
func TestATrackThatDoesNotAnswerIsLeftOutAndTheOthersAreMeasured(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/health", trackPaths["D_streaming"]:
			io.WriteString(w, "{}")
		case trackPaths["B"], trackPaths["C"]: // C is in truth served by B
			io.WriteString(w, `{"track":"B"}`)
		case trackPaths["D"]:
			panic(http.ErrAbortHandler)
		case trackPaths["D_batch"]:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	samples := filepath.Join(t.TempDir(), "s.parquet")
	got := program(t, quickly(t, server.URL, 1, "--track", "all", "--requests", "5", "--samples", samples)...)
	all := decoded[several](t, got.stdout)
	var names []string
	for _, s := range all.Runs {
		names = append(names, s.Name)
		if s.Measured.OK != 5 || !strings.HasSuffix(s.URL, trackPaths[s.Name]) {
			t.Errorf("%s: %s %+v", s.Name, s.URL, s.Measured)
		}
		rowsOf(t, strings.Replace(samples, ".parquet", "-"+s.Name+".parquet", 1))
	}
	if !slices.Equal(names, []string{"B", "D_streaming"}) || got.status != exitMeasured {
		t.Errorf("status %d; measured are %v; %s", got.status, names, got.stderr)
	}
	for track, why := range map[string]string{"A": "404", "C": "answered by track B", "D": "EOF", "D_batch": "503"} {
		if !strings.Contains(all.LeftOut[track], why) {
			t.Errorf("%s is left out because of %q, want %s", track, all.LeftOut[track], why)
		}
	}
	got = program(t, quickly(t, server.URL, 1, "--track", "A", "--requests", "5")...)
	if got.status != exitBroken || got.stdout != "" || !strings.Contains(got.stderr, "none of the tracks") {
		t.Errorf("status %d: %q %q", got.status, got.stdout, got.stderr)
	}
}

func TestOfNothingThereAreNoPercentages(t *testing.T) {
	url := answering(t, say(fine))
	time.AfterFunc(200*time.Millisecond, func() { syscall.Kill(os.Getpid(), syscall.SIGINT) })
	got := program(t, quickly(t, url, 1, "--warmup", "30s")...)
	s := decoded[report.Summary](t, got.stdout)
	if got.status != exitInterrupted || s.Accounting.OK == 0 || s.Measured.Issued != 0 || s.ThroughputRPS != nil ||
		s.ResponseMS.P50 != nil || s.ResponseMS.Mean != nil || s.Instrument.AchievedRPS != nil {
		t.Errorf("status %d: %s", got.status, got.stdout)
	}
}

// Defect 11: results of a matrix, and all but the first of several runs, were left out.
func TestEachLoadOfASessionIsKept(t *testing.T) {
	t.Parallel()
	url := answering(t, say(fine))
	folder := t.TempDir()
	samples := filepath.Join(folder, "run.parquet")
	got := program(t, quickly(t, url, 1, "--mode", "matrix", "--matrix-clients", "2,2,2", "--duration", "100ms", "--samples", samples)...)
	if all := decoded[several](t, got.stdout); len(all.Runs) != 3 {
		t.Errorf("%d of 3 repeats are in the result", len(all.Runs))
	}
	files, err := filepath.Glob(filepath.Join(folder, "run-*.parquet"))
	if err != nil || len(files) != 3 {
		t.Errorf("%d of 3 repeats have a sample file: %v %v", len(files), files, err)
	}
	for i, one := range files {
		for _, other := range files[:i] {
			if slices.EqualFunc(rowsOf(t, one), rowsOf(t, other), func(a, b fileRow) bool { return a.TraceID == b.TraceID }) {
				t.Errorf("%s and %s are the same", one, other)
			}
		}
	}
}
