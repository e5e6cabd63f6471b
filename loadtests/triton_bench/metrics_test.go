package main

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// scraped are the values of a Prometheus text, by name and labels.
func scraped(text string) map[string]float64 {
	values := map[string]float64{}
	for line := range strings.Lines(text) {
		name, number, _ := strings.Cut(strings.TrimSpace(line), "} ")
		if name += "}"; number == "" {
			name, number, _ = strings.Cut(strings.TrimSpace(line), " ")
		}
		if value, err := strconv.ParseFloat(number, 64); err == nil {
			values[name] = value
		}
	}
	return values
}

func TestMetricsCanBeScrapedWhileItRunsAndAreThoseOfTheSummary(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	// Every fourth is an error, and the last request is answered when a scrape has seen all others.
	seen := make(chan struct{})
	url := answering(t, func(conn net.Conn, n int64) bool {
		if n == 40 {
			select {
			case <-seen:
			case <-time.After(10 * time.Second):
			}
		}
		if n%4 == 0 {
			return say("HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n")(conn, n)
		}
		return say(fine)(conn, n)
	})
	var last map[string]float64
	measuring := false
	ended, scrapes := make(chan struct{}), make(chan map[string]float64)
	go func() {
		defer close(scrapes)
		for {
			select {
			case <-ended:
				return
			case <-time.After(20 * time.Millisecond):
			}
			answer, err := http.Get("http://" + address + "/metrics")
			if err != nil {
				continue // not yet, or no longer
			}
			text, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err == nil && answer.StatusCode == http.StatusOK {
				scrapes <- scraped(string(text))
			}
		}
	}()
	counted := make(chan int)
	go func() {
		n, before, told := 0, map[string]float64{}, false
		for now := range scrapes {
			for name, value := range now {
				if strings.HasSuffix(name, "_total") && value < before[name] {
					t.Errorf("%s fell from %g to %g", name, before[name], value)
				}
				measuring = measuring || strings.HasPrefix(name, "loadtest_run_info") && value == 1
			}
			n, before, last = n+1, now, now
			if n >= 5 && !told && now[`loadtest_response_seconds_count`] == 30 && now[`loadtest_requests_total{outcome="http_error"}`] == 9 {
				told = true
				close(seen)
			}
		}
		counted <- n
	}()
	b := runBench(t, url, "--rate", "40", "--requests", "40", "--metrics-addr", address,
		"--label", "campaign=demo", "--label", `cell=a "b" c0008`, "--label", "host=here")
	close(ended)
	if n := <-counted; n < 5 {
		t.Fatalf("%d scrapes; %s", n, b.stderr)
	}
	if m := b.summary.Measured; m.OK != 30 || m.HTTPError != 10 {
		t.Fatalf("%+v", m)
	}
	for name, want := range map[string]float64{
		`loadtest_requests_total{outcome="ok"}`: 30, "loadtest_issued_total": 40, "loadtest_offered_total": 40,
		"loadtest_response_seconds_count": 30, "loadtest_connections_total": float64(b.summary.Instrument.Connections),
	} {
		if got, found := last[name]; !found || got != want {
			t.Errorf("%s was %g at last, want %g", name, got, want)
		}
	}
	// The labels that were given, those that were not, and the program's own.
	info := `loadtest_run_info{campaign="demo",cell="a \"b\" c0008",clients="",host="here",rate="40",repeat="",run="",variant=""}`
	if _, found := last[info]; !found || !measuring {
		t.Errorf("%s is not there, or was never 1: %v", info, last)
	}
	// The last scrape may have come before the last answer or after it.
	late := last[`loadtest_requests_total{outcome="http_error"}`]
	if late != 9 && late != 10 || last["loadtest_in_flight"] > 10-late {
		t.Errorf("%g errors and %g requests in flight at last", late, last["loadtest_in_flight"])
	}
	if _, err := http.Get("http://" + address + "/metrics"); err == nil {
		t.Error("metrics are still served after the end")
	}
}

func TestAnAddressInUseIsWrongUsage(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	requests := make(chan struct{}, 10)
	url := answering(t, func(conn net.Conn, n int64) bool { requests <- struct{}{}; return say(fine)(conn, n) })
	b := runBench(t, url, "--requests", "3", "--metrics-addr", taken.Addr().String())
	if b.status != exitUsage || !strings.Contains(b.stderr, "--metrics-addr") || len(requests) != 0 || b.rows != nil {
		t.Errorf("status %d, %d requests were sent: %s", b.status, len(requests), b.stderr)
	}
}
