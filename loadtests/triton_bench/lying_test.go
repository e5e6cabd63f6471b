package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// stubBinary is tb_stub, built once: a server in a process of its own, which can be stopped.
var stubBinary = sync.OnceValues(func() (path string, err error) {
	path = filepath.Join(sharedFolder, "tb_stub")
	if said, err := exec.Command("go", "build", "-o", path, "./tb_stub").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, said)
	}
	return path, nil
})

func stub(t *testing.T, flags ...string) (url string, process *os.Process) {
	t.Helper()
	path, err := stubBinary()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(path, flags...)
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line[:len(line)-1], c.Process
}

// theory is when each arrival is answered by a server that takes one at a time and stands still from
// one time to another, in milliseconds after it was due. Arrivals come evenly.
func theory(requests int, rate, delayMS, stopMS, goMS float64) (response []float64) {
	free := 0.0
	for i := range requests {
		due := float64(i) / rate * 1e3
		free = max(due, free)
		if free+delayMS > stopMS && free < goMS {
			// What was at work is done when the server goes on; what came meanwhile begins then.
			if free < stopMS {
				free = goMS
			} else {
				free = goMS + delayMS
			}
		} else {
			free += delayMS
		}
		response = append(response, free-due)
	}
	slices.Sort(response)
	return response
}

func at(sorted []float64, p float64) float64 {
	return sorted[int(math.Ceil(p*float64(len(sorted))-1e-9))-1]
}

// A stopped process accepts and reads nothing, and says nothing about it. What users would have
// waited is in the response time; the service time shows it for the one request that was sent.
func TestAStoppedServerIsInTheResponseTimeAsTheoryHasIt(t *testing.T) {
	t.Parallel()
	const rate, requests, delayMS = 100, 200, 2
	url, process := stub(t, "--delay", "2ms")
	times := make(chan time.Time, 2)
	time.AfterFunc(700*time.Millisecond, func() {
		process.Signal(syscall.SIGSTOP)
		times <- time.Now()
		time.Sleep(500 * time.Millisecond)
		times <- time.Now()
		process.Signal(syscall.SIGCONT)
	})
	b := runBench(t, url, "--rate", "100", "--duration", "2s", "--max-connections", "1")
	if b.summary.Measured.OK != requests {
		t.Fatalf("%+v; %s", b.summary.Measured, b.stderr)
	}
	since := func(at time.Time) float64 { return float64(at.UnixNano()-b.summary.Window.StartUnixNS) / 1e6 }
	stopMS, goMS := since(<-times), since(<-times)
	want := theory(requests, rate, delayMS, stopMS, goMS)
	// The theory has neither wire nor wake-ups, which cost the more the busier the machine is; what the
	// stop itself adds is twenty times the tolerance.
	for p, got := range map[float64]*float64{0.50: b.summary.ResponseMS.P50, 0.95: b.summary.ResponseMS.P95} {
		if got == nil || *got < at(want, p)-10 || *got > at(want, p)+25 {
			t.Errorf("response P%g is %v ms, in theory %g", 100*p, number(got), at(want, p))
		}
	}
	var response, service []float64
	for _, row := range b.rows {
		response = append(response, float64(row.Done-row.Due)/1e6)
		service = append(service, float64(row.Done-row.Sent)/1e6)
	}
	slices.Sort(response)
	slices.Sort(service)
	if got, want := at(response, 0.99), at(want, 0.99); math.Abs(got-want) > 25 {
		t.Errorf("response P99 is %g ms, in theory %g", got, want)
	}
	if late := goMS - stopMS; at(service, 0.99) > late/2 || service[requests-1] < late-20 {
		t.Errorf("service P99 is %g ms and the longest %g, after a stop of %g ms", at(service, 0.99), service[requests-1], late)
	}
}

func number(value *float64) any {
	if value == nil {
		return "unknown"
	}
	return *value
}

// The same with the stub's own freeze, which begins with a request and not at any time.
func TestAFrozenServerIsInTheResponseTimeAsTheoryHasIt(t *testing.T) {
	t.Parallel()
	const rate, requests, delayMS, freezeMS, freezeAt = 50, 100, 5.0, 600.0, 31
	url, _ := stub(t, "--mode", "freeze", "--delay", "5ms", "--freeze", "600ms", "--freeze-at", fmt.Sprint(freezeAt))
	b := runBench(t, url, "--rate", "50", "--duration", "2s", "--max-connections", "1")
	// Number 31 is due at 600 ms; it is answered when the freeze is over.
	dueMS := float64(freezeAt-1) / rate * 1e3
	want := theory(requests, rate, delayMS, dueMS+delayMS/2, dueMS+freezeMS)
	var response []float64
	for _, row := range b.rows {
		response = append(response, float64(row.Done-row.Due)/1e6)
	}
	slices.Sort(response)
	if len(response) != requests {
		t.Fatalf("%d requests; %s", len(response), b.stderr)
	}
	for _, p := range []float64{0.50, 0.95, 0.99} {
		if got, want := at(response, p), at(want, p); got < want-1 || got > want+25 {
			t.Errorf("response P%g is %g ms, in theory %g", 100*p, got, want)
		}
	}
}
