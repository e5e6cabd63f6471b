package main

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"windtunnel/triton_bench/report"
)

// The generator of the seed mismeasured in eleven ways. Each test here is one that it would have
// failed; those of whole sessions are in seed_sessions_test.go.

// Defect 1: percentiles of bursts and ramps were percentiles of phase means.
func TestPercentilesOfAStepAreThoseOfItsOwnRequests(t *testing.T) {
	t.Parallel()
	url := answering(t, func(conn net.Conn, n int64) bool {
		if n%10 == 0 {
			time.Sleep(30 * time.Millisecond)
		}
		return say(fine)(conn, n)
	})
	samples := filepath.Join(t.TempDir(), "s.parquet")
	got := program(t, quickly(t, url, 1, "--mode", "variable", "--load-pattern", "burst", "--clients", "4", "--burst-interval", "100ms",
		"--duration", "650ms", "--samples", samples)...)
	s := decoded[report.Summary](t, got.stdout)
	rows := rowsOf(t, samples)
	if len(s.Steps) != 2 || s.Steps[0].EndNS != 250_000_000 || s.Steps[1].StartNS != 350_000_000 {
		t.Fatalf("%+v; %s", s.Steps, got.stderr)
	}
	for _, step := range s.Steps {
		var times []float64
		for _, row := range rows {
			if row.Due >= step.StartNS && row.Due < step.EndNS {
				times = append(times, float64(row.Done-row.Due)/1e6)
			}
		}
		slices.Sort(times)
		if int64(len(times)) != step.Measured.Issued || len(times) < 72 {
			t.Fatalf("%s: %d rows, %+v", step.Name, len(times), step.Measured)
		}
		// One in ten is slow: no mean shows it, and P95 is all of it.
		want := times[(len(times)*95+99)/100-1]
		if p95 := *step.ResponseMS.P95; p95 < 30 || p95 < 0.99*want || p95 > 1.01*want || *step.ResponseMS.Mean > p95/2 {
			t.Errorf("%s: P95 is %g, of its requests it is %g; mean %g", step.Name, p95, want, *step.ResponseMS.Mean)
		}
	}
	for _, row := range rows {
		if row.Due >= s.Steps[0].EndNS && row.Due < s.Steps[1].StartNS {
			t.Errorf("a request was due at %d, in the pause", row.Due)
		}
	}
}

// Defect 2: the clock stopped at the head of the answer.
func TestTheClockStopsAtTheLastByte(t *testing.T) {
	t.Parallel()
	url := answering(t, func(conn net.Conn, n int64) bool {
		say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")(conn, n)
		time.Sleep(50 * time.Millisecond)
		return say("k")(conn, n)
	})
	for _, client := range []string{"raw", "nethttp"} {
		b := runBench(t, url, "--requests", "3", "--client", client)
		for _, row := range b.rows {
			if row.Done-*row.FirstByte < 20_000_000 {
				t.Errorf("%s: done %d ns after the first byte", client, row.Done-*row.FirstByte)
			}
		}
		if p50 := b.summary.ServiceMS.P50; p50 == nil || *p50 < 50 {
			t.Errorf("%s: P50 is %v", client, p50)
		}
	}
}

// Defect 3: failures had no latency, so that percentiles were cut off at the timeout.
func TestRequestsGivenUpAreRowsAndRankAboveTheOthers(t *testing.T) {
	t.Parallel()
	url := answering(t, func(conn net.Conn, n int64) bool { return n%5 < 2 || say(fine)(conn, n) })
	b := runBench(t, url, "--rate", "200", "--duration", "500ms", "--timeout", "200ms")
	if s := b.summary; s.Measured.OK+s.Measured.Timeout+s.Measured.Censored != 100 || s.Measured.Timeout < 30 ||
		s.ResponseMS.P50 == nil || s.ResponseMS.P95 != nil || s.ResponseMS.AtLeast < 30 {
		t.Errorf("%+v %+v", s.Measured, s.ResponseMS)
	}
}

// Defect 4: of a batch, each image was given an equal share of the request's time.
func TestNoRequestIsDividedAmongWhatItCarries(t *testing.T) {
	t.Parallel()
	url := answering(t, func(conn net.Conn, n int64) bool {
		time.Sleep(40 * time.Millisecond)
		body := `{"images":8,"results":[1,2,3,4,5,6,7,8]}`
		return say(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body))(conn, n)
	})
	for _, row := range runBench(t, url, "--requests", "4").rows {
		if row.Done-row.Sent < 40_000_000 {
			t.Errorf("a caller waited 40 ms and is told %d ns", row.Done-row.Sent)
		}
	}
}

// Defect 5: the warm-up was one client's, over connections that were then thrown away.
func TestTheWarmUpIsTheLoadItselfAndItsConnectionsAreKept(t *testing.T) {
	t.Parallel()
	var dialled atomic.Int64
	seen := map[string]bool{}
	var mutex sync.Mutex
	url := answering(t, func(conn net.Conn, n int64) bool {
		mutex.Lock()
		if address := conn.RemoteAddr().String(); !seen[address] {
			seen[address] = true
			dialled.Add(1)
		}
		mutex.Unlock()
		time.Sleep(5 * time.Millisecond)
		return say(fine)(conn, n)
	})
	b := runBench(t, url, "--clients", "8", "--warmup", "400ms", "--duration", "300ms")
	warm := map[int32]bool{}
	for _, row := range b.rows {
		if row.Phase == "warmup" {
			warm[row.Client] = true
		}
	}
	if len(warm) != 8 || dialled.Load() != 8 || b.summary.Instrument.Connections != 8 {
		t.Errorf("%d of 8 clients warmed up, over %d connections", len(warm), dialled.Load())
	}
	for _, row := range b.rows { // no pause and no drain between the two: each goes on where it was
		if row.Phase == "measure" && row.Due > 700_000_000 {
			t.Errorf("due at %d", row.Due)
		}
	}
}

// Defect 6: all clients started at once, and all with the first image.
func TestClientsNeitherStartTogetherNorWithOneImage(t *testing.T) {
	t.Parallel()
	url := answering(t, func(conn net.Conn, n int64) bool {
		time.Sleep(50 * time.Millisecond)
		return say(fine)(conn, n)
	})
	samples := filepath.Join(t.TempDir(), "s.parquet")
	program(t, quickly(t, url, 20, "--clients", "10", "--requests", "40", "--samples", samples)...)
	first, images := map[int32]fileRow{}, map[string]bool{}
	for _, row := range rowsOf(t, samples) {
		if was, found := first[row.Client]; !found || row.Due < was.Due {
			first[row.Client] = row
		}
	}
	starts := map[int64]bool{}
	for _, row := range first {
		starts[row.Due], images[row.Image] = true, true
	}
	if len(first) != 10 || len(starts) != 10 || len(images) < 4 {
		t.Errorf("%d clients started at %d times with %d images", len(first), len(starts), len(images))
	}
}

// Defect 7: throughput was divided by the time until the last straggler was done.
func TestTheWindowEndsWhenItWasToEndAndNotWithTheLastAnswer(t *testing.T) {
	t.Parallel()
	url := answering(t, func(conn net.Conn, n int64) bool {
		if n == 20 {
			time.Sleep(time.Second)
		}
		return say(fine)(conn, n)
	})
	for _, load := range []string{"--rate=100", "--clients=2"} {
		s := runBench(t, url, load, "--duration", "300ms").summary
		if s.Window.MeasureEndNS != 300_000_000 || s.DurationS != 0.3 || s.ThroughputRPS == nil ||
			*s.ThroughputRPS > float64(s.Measured.OK)/0.3+0.001 || *s.ThroughputRPS < float64(s.Measured.OK-2)/0.3-0.001 {
			t.Errorf("%s: %+v, throughput %v of %+v", load, s.Window, *s.ThroughputRPS, s.Measured)
		}
	}
}

// Defect 9: a ramp of fewer clients than its step divided by zero, and a burst that was longer than
// the load did not happen.
func TestStepsThatDoNotFitAreCutAndNotLost(t *testing.T) {
	for _, given := range []struct {
		flags string
		want  []string
	}{
		{"--load-pattern ramp --clients 5 --ramp-step 16", []string{"5 clients 5 2s..12s"}},
		{"--load-pattern ramp --clients 5 --ramp-step 2", []string{"2 clients 2 2s..5.333333333s", "4 clients 4 5.333333333s..8.666666666s",
			"5 clients 5 8.666666666s..12s"}},
		{"--load-pattern burst --clients 5", []string{"burst 1 5 2s..2.25s"}},
		{"--load-pattern burst --clients 5 --burst-interval 9.8", []string{"burst 1 5 2s..2.25s"}},
		{"--load-pattern burst --clients 5 --burst-interval 9.7s", []string{"burst 1 5 2s..2.25s", "burst 2 5 11.95s..12s"}},
		{"--load-pattern constant --clients 5", nil},
	} {
		o, err := parseOptions(append(strings.Fields(given.flags), "--mode", "variable", "--duration", "10"))
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, step := range o.clientSteps() {
			found = append(found, fmt.Sprintf("%s %d %v..%v", step.Name, step.Clients, time.Duration(step.StartNS), time.Duration(step.EndNS)))
		}
		if !slices.Equal(found, given.want) {
			t.Errorf("%s: %q, want %q", given.flags, found, given.want)
		}
	}
	for _, pattern := range []string{"ramp", "burst"} {
		url := answering(t, say(fine))
		b := runBench(t, url, "--mode", "variable", "--load-pattern", pattern, "--clients", "3", "--duration", "100ms")
		if b.status != exitMeasured || len(b.summary.Steps) != 1 || b.summary.Steps[0].Measured.OK == 0 ||
			*b.summary.Steps[0].Clients != 3 || b.summary.Steps[0].EndNS != 100_000_000 {
			t.Errorf("%s: status %d, %+v; %s", pattern, b.status, b.summary.Steps, b.stderr)
		}
	}
}
