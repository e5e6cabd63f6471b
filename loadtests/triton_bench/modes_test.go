package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"windtunnel/triton_bench/report"
)

// counting is a server that counts how often it saw each body, and answers after a while.
func counting(t *testing.T, delay time.Duration) (url string, seen func() map[string]int) {
	t.Helper()
	var mutex sync.Mutex
	bodies := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		time.Sleep(delay)
		mutex.Lock()
		defer mutex.Unlock()
		bodies[string(body)]++
	}))
	t.Cleanup(server.Close)
	return server.URL, func() map[string]int {
		mutex.Lock()
		defer mutex.Unlock()
		return bodies
	}
}

func TestEachModeSendsWhatItSays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		flags    string
		clients  int
		requests int64 // 0: as many as there is time for
	}{
		"single":   {"", 1, 10},
		"set":      {"", 1, 12},
		"all":      {"", 12, 12}, // no more clients than images
		"quick":    {"--duration 200ms", 16, 0},
		"full":     {"--duration 200ms --clients 3", 3, 0},
		"variable": {"--duration 200ms", 64, 0},
	} {
		url, seen := counting(t, 2*time.Millisecond)
		arguments := append(quickly(t, url, 12, "--body", "raw", "--mode", name), strings.Fields(c.flags)...)
		got := program(t, arguments...)
		s := decoded[report.Summary](t, got.stdout)
		if got.status != exitMeasured || *s.Clients != c.clients || s.Measured.OK != s.Measured.Issued ||
			c.requests > 0 && s.Measured.OK != c.requests || c.requests == 0 && s.Window.MeasureEndNS != 200_000_000 {
			t.Errorf("%s: status %d, %d clients, %+v until %d; %s", name, got.status, *s.Clients, s.Measured, s.Window.MeasureEndNS, got.stderr)
		}
		different := map[string]int{"single": 1}[name]
		if different == 0 {
			different = 12
		}
		if bodies := seen(); len(bodies) != different {
			t.Errorf("%s: %d images were sent, want %d", name, len(bodies), different)
		}
		for body, times := range seen() {
			if times != 1 && (name == "set" || name == "all") {
				t.Errorf("%s: %s was sent %d times", name, body, times)
			}
		}
	}
}

func TestAllImagesAreMeasuredOnceWhateverTheWarmUpSent(t *testing.T) {
	t.Parallel()
	url, _ := counting(t, time.Millisecond)
	samples := filepath.Join(t.TempDir(), "all.parquet")
	got := program(t, "--url", url, "--images", folderOf(t, 30), "--mode", "all", "--clients", "7", "--threads", "2", "--warmup", "50ms",
		"--calibrate", "0", "--samples", samples, "--quiet")
	sent := map[string]int{}
	for _, row := range rowsOf(t, samples) {
		if row.Phase == "measure" {
			sent[row.Image]++
		}
	}
	for i := range 30 {
		if name := fmt.Sprintf("%02d.jpg", i); sent[name] != 1 {
			t.Errorf("%s was sent %d times; %s", name, sent[name], got.stderr)
		}
	}
}

func TestFlagsWinOverWhatAModeSays(t *testing.T) {
	for _, given := range []struct {
		flags    string
		clients  int
		duration time.Duration
		limit    int
		requests int64
	}{
		{"--mode quick", 16, 30 * time.Second, 0, 0},
		{"--mode quick --clients 3 --duration 5", 3, 5 * time.Second, 0, 0},
		{"--mode full", 64, 60 * time.Second, 0, 0},
		{"--mode full --duration 120 --clients 256", 256, 120 * time.Second, 0, 0},
		{"--mode single", 1, 10 * time.Second, 1, 10},
		{"--mode single --clients 2 --limit 3", 2, 10 * time.Second, 3, 10},
		{"--mode set --limit 4", 1, 10 * time.Second, 4, 0},
		{"--mode sustained", 1, 300 * time.Second, 0, 0},
		{"--mode matrix --duration 7", 1, 7 * time.Second, 0, 0},
		{"--mode variable --load-pattern ramp", 64, 60 * time.Second, 0, 0},
	} {
		o, err := parseOptions(strings.Fields(given.flags))
		if err != nil || o.clients != given.clients || o.duration != given.duration || o.limit != given.limit || o.requests != given.requests {
			t.Errorf("%s: %v %+v", given.flags, err, o)
		}
	}
	for flags, want := range map[string][]int{
		"--mode matrix": {1, 10, 50, 100, 256}, "--mode sustained": {16, 32, 64, 128, 256},
		"--mode matrix --matrix-clients 3,5": {3, 5}, "--mode sustained --matrix-clients 2": {2},
	} {
		if o, err := parseOptions(strings.Fields(flags)); err != nil || !slices.Equal(o.matrixClients, want) {
			t.Errorf("%s: %v %v, want %v", flags, err, o, want)
		}
	}
}

func TestAMatrixHasASampleFileAndASummaryForEachLevel(t *testing.T) {
	t.Parallel()
	url, _ := counting(t, time.Millisecond)
	folder := t.TempDir()
	got := program(t, quickly(t, url, 2, "--mode", "matrix", "--matrix-clients", "1,10,2", "--duration", "150ms",
		"--samples", filepath.Join(folder, "m.parquet"), "--hlog", filepath.Join(folder, "m.hlog"))...)
	all := decoded[several](t, got.stdout)
	if got.status != exitMeasured || len(all.Runs) != 3 || all.Mode != "matrix" || all.Version != 1 || all.Tool != "triton_bench" {
		t.Fatalf("status %d: %+v; %s", got.status, all, got.stderr)
	}
	var names []string
	for i, clients := range []int{1, 10, 2} {
		name := fmt.Sprintf("c%04d", clients)
		if s := all.Runs[i]; s.Name != name || *s.Clients != clients || s.Measured.OK == 0 {
			t.Errorf("%s: %+v", name, s)
		}
		path := filepath.Join(folder, "m-"+name+".parquet")
		if rows := rowsOf(t, path); int64(len(rows)) != all.Runs[i].Accounting.Issued {
			t.Errorf("%s: %d rows for %d requests", name, len(rows), all.Runs[i].Accounting.Issued)
		}
		names = append(names, "m-"+name+".hlog", "m-"+name+".parquet")
	}
	slices.Sort(names)
	var found []string
	entries, err := os.ReadDir(folder)
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	if err != nil || !slices.Equal(found, names) {
		t.Errorf("the folder holds %v, want %v", found, names)
	}
}

func TestModesAreListed(t *testing.T) {
	got := program(t, "--list-modes")
	lines := bufio.NewScanner(strings.NewReader(got.stdout))
	listed := map[string]bool{}
	for lines.Scan() {
		if words := strings.Fields(lines.Text()); len(words) > 0 {
			listed[words[0]] = true
		}
	}
	for _, m := range modes {
		if !listed[m.name] || !strings.Contains(got.stdout, m.what) {
			t.Errorf("%s is not listed in %q", m.name, got.stdout)
		}
		if _, err := parseOptions([]string{"--mode", m.name}); err != nil {
			t.Errorf("%s is listed and unknown: %v", m.name, err)
		}
	}
	if got.status != exitMeasured || got.stderr != "" {
		t.Errorf("status %d: %s", got.status, got.stderr)
	}
}
