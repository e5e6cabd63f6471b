package main

import (
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// oneByOne answers requests one after another, each after a time: at most 1/delay a second.
func oneByOne(t *testing.T, delay time.Duration) (url string) {
	t.Helper()
	var mutex sync.Mutex
	return answering(t, func(conn net.Conn, n int64) bool {
		mutex.Lock()
		time.Sleep(delay)
		mutex.Unlock()
		return say(fine)(conn, n)
	})
}

func TestASearchEndsBelowTheCapacityOfTheService(t *testing.T) {
	t.Parallel()
	// A second, and less where sleeping takes longer than asked for. A little more is held for as short as
	// a probe is here: a queue needs time to reach the limit.
	const capacity = 200
	got := program(t, quickly(t, oneByOne(t, 5*time.Millisecond), 1, "--slo", "p50=60ms")...)
	found := decoded[several](t, got.stdout).Capacity[""]
	if got.status != exitMeasured || !found.Finished || len(found.Probes) < 4 {
		t.Fatalf("status %d, %+v; %s", got.status, found, got.stderr)
	}
	// A neighbour that takes the CPU makes probes invalid; the search then says that it was limited.
	if found.Status != "held" && found.Status != "unresolved" && found.Status != "limited" || found.HeldRPS > 1.1*capacity {
		t.Errorf("%s at %g a second", found.Status, found.HeldRPS)
	}
	for _, probe := range found.Probes {
		if probe.Verdict == "held" && probe.RateRPS > 1.5*capacity || probe.Verdict == "not held" && probe.RateRPS < capacity/8 ||
			probe.Within+probe.Over == 0 && probe.Verdict != "invalid" {
			t.Errorf("%+v", probe)
		}
	}
}

func TestASearchAgainstAServiceThatNeverHoldsSaysSo(t *testing.T) {
	t.Parallel()
	slow := answering(t, func(conn net.Conn, n int64) bool {
		time.Sleep(12 * time.Millisecond)
		return say(fine)(conn, n)
	})
	got := program(t, quickly(t, slow, 1, "--slo", "p50=5ms", "--rate", "6400")...)
	found := decoded[several](t, got.stdout).Capacity[""]
	if got.status != exitMeasured || found.Status != "none" && found.Status != "limited" || found.HeldRPS != 0 || !found.Finished {
		t.Errorf("status %d, %+v; %s", got.status, found, got.stderr)
	}
	for _, probe := range found.Probes {
		if probe.Verdict == "held" || probe.Within > 0 {
			t.Errorf("%+v", probe)
		}
	}
	// Nor does one that answers nothing at all: that is no reason to break off.
	closing := answering(t, func(net.Conn, int64) bool { return false })
	got = program(t, quickly(t, closing, 1, "--slo", "p50=5ms", "--rate", "6400")...)
	found = decoded[several](t, got.stdout).Capacity[""]
	if got.status != exitMeasured || found.HeldRPS != 0 || len(found.Probes) < 2 {
		t.Errorf("status %d, %+v; %s", got.status, found, got.stderr)
	}
}

func TestASearchThatIsInterruptedTellsWhatItHas(t *testing.T) {
	arguments := quickly(t, oneByOne(t, 5*time.Millisecond), 1, "--slo", "p99=60ms", "--rate", "100")
	time.AfterFunc(1500*time.Millisecond, func() { syscall.Kill(os.Getpid(), syscall.SIGINT) })
	got := program(t, arguments...)
	all := decoded[several](t, got.stdout)
	found, there := all.Capacity[""]
	if got.status != exitInterrupted || !there || found.Finished || found.Status != "unresolved" || found.HeldRPS != 0 {
		t.Errorf("status %d, %s; %s", got.status, got.stdout, got.stderr)
	}
	words := append(arguments[:len(arguments):len(arguments)], "--json=false", "--quiet=false")
	time.AfterFunc(300*time.Millisecond, func() { syscall.Kill(os.Getpid(), syscall.SIGINT) })
	if got := program(t, words...); got.status != exitInterrupted || !strings.Contains(got.stdout, "was stopped before its end") {
		t.Errorf("status %d: %q", got.status, got.stdout)
	}
}
