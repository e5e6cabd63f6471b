package report

import (
	"fmt"
	"strings"
	"syscall"

	"windtunnel/triton_bench/load"
)

// Limits within which the instrument does not shape what it measures.
const (
	lateMS       = 1.0   // send lag at a percentile, and pauses
	lateShare    = 0.05  // or this share of the response P50, when that is more
	sentShare    = 0.99  // of the arrivals, sent in the measured time
	busyShare    = 0.70  // of a sending thread, and of all CPUs
	pauseShare   = 0.005 // of the time: half of the requests that a P99 is about
	leastWallS   = 0.1   // below it shares of time mean nothing
	ceilingShare = 0.50  // of what the instrument can do with a server that does nothing
)

// Facts are what the instrument is judged by, all of the measured time. What is unknown is nil or 0.
type Facts struct {
	Open          bool // loop
	NetHTTP       bool // requests are sent and timed by goroutines
	ResponseP50MS *float64
	// How late arrivals were taken up that did not wait at the limit of connections, at the highest
	// percentile that their number supports: one late request of fifty moves none that is reported.
	PaceMS *float64
	PaceAt string // P50, P95 or P99
	// The same requests: those due, and those of them taken up before the measured time was over.
	PromptDue, PromptTaken int64
	AchievedRPS            *float64
	CeilingRPS             float64 // as calibrated; 0 if it was not
	ConnectFailure         string  // the first, in words
	load.Usage
}

// Check tells whether the numbers are the service's, and if they are not, what the instrument itself
// was short of: what was found, the limit, and what to do about it.
//
// In a closed loop a generator that is always busy is not late for anything, so its send lag says
// nothing. But answers that come while it is at work on others wait for it before they are noticed,
// and that wait is in their latencies: there the busiest thread is what tells. Arrivals that had to
// wait at the limit of connections are the limit's or the service's, and are not held against the
// instrument; that it opened a connection for one is no excuse for taking it up late.
func Check(f Facts) (valid bool, reasons []string) {
	for _, rule := range []func(Facts) string{pace, rate, thread, cpu, pause, scheduler, ceiling, system} {
		if reason := rule(f); reason != "" {
			reasons = append(reasons, reason)
		}
	}
	return len(reasons) == 0, reasons
}

// toleratedMS is how long the instrument may hold a request up.
func (f *Facts) toleratedMS() float64 {
	if f.ResponseP50MS == nil {
		return lateMS
	}
	return max(lateMS, lateShare**f.ResponseP50MS)
}

func pace(f Facts) string {
	if !f.Open || f.PaceMS == nil || *f.PaceMS <= f.toleratedMS() {
		return ""
	}
	return fmt.Sprintf("send lag: %s is %.2f ms; expected at most %.2f ms (1 ms or 5 %% of P50); "+
		"give the generator a CPU of its own, or ask for a lower rate", f.PaceAt, *f.PaceMS, f.toleratedMS())
}

// rate lets one request be missing: the last may be due at the very end.
func rate(f Facts) string {
	missing := f.PromptDue - f.PromptTaken
	if !f.Open || missing <= 1 || float64(f.PromptTaken) >= sentShare*float64(f.PromptDue) {
		return ""
	}
	return fmt.Sprintf("rate: %d of %d requests were sent in the measured time (%.1f %%); expected at least 99 %%; "+
		"give the generator a CPU of its own, or ask for a lower rate",
		f.PromptTaken, f.PromptDue, 100*float64(f.PromptTaken)/float64(f.PromptDue))
}

func thread(f Facts) string {
	if f.WallSeconds < leastWallS || f.BusiestLaneShare <= busyShare {
		return ""
	}
	why, remedy := "arrivals then wait for each other in it", "raise --threads, or ask for a lower rate"
	if !f.Open {
		why = "answers then wait in the generator to be read, and the wait is in their latencies"
		remedy = "raise --threads, or ask for fewer clients"
	}
	return fmt.Sprintf("sending thread: the busiest was at work for %.0f %% of the time; "+
		"expected at most 70 %%, because %s; %s", 100*f.BusiestLaneShare, why, remedy)
}

func cpu(f Facts) string {
	if f.WallSeconds < leastWallS || f.GOMAXPROCS < 1 {
		return ""
	}
	share := f.CPUSeconds / f.WallSeconds / float64(f.GOMAXPROCS)
	if share <= busyShare {
		return ""
	}
	return fmt.Sprintf("CPU: the generator used %.0f %% of the %d CPUs it may use; expected at most 70 %%; "+
		"give it more CPUs, or ask for less load", 100*share, f.GOMAXPROCS)
}

// pause holds for every client: the collector stops threads of their own too. One long pause in a run
// meets a few requests and moves no percentile; pauses that take a noticeable part of the time do.
func pause(f Facts) string {
	if f.WallSeconds < leastWallS || f.GCPauseMaxMS <= f.toleratedMS() || f.GCPauseShare <= pauseShare {
		return ""
	}
	return fmt.Sprintf("garbage collection: it stopped the generator for %.2f %% of the time, for up to %.2f ms; "+
		"expected at most %.1f %%, or pauses of at most %.2f ms (1 ms or 5 %% of P50); give the generator a CPU of its own",
		100*f.GCPauseShare, f.GCPauseMaxMS, 100*pauseShare, f.toleratedMS())
}

// scheduler holds for net/http only, whose goroutines wait for the Go scheduler before they see an
// answer. A raw lane keeps a thread to itself and is hardly ever in the runtime's statistics, which
// then tell of the goroutines that write the rows down; whether a lane was late is told by its send
// lag and by how busy it was.
func scheduler(f Facts) string {
	if !f.NetHTTP || f.SchedLatencyP99MS <= f.toleratedMS() {
		return ""
	}
	return fmt.Sprintf("scheduler: P99 of the wait of a goroutine is %.2f ms; expected at most %.2f ms "+
		"(1 ms or 5 %% of P50); give the generator more CPUs, or use --client raw", f.SchedLatencyP99MS, f.toleratedMS())
}

func ceiling(f Facts) string {
	if f.CeilingRPS <= 0 || f.AchievedRPS == nil || *f.AchievedRPS <= ceilingShare*f.CeilingRPS {
		return ""
	}
	return fmt.Sprintf("ceiling: %.0f requests a second were sent; "+
		"expected at most half of the %.0f that this generator reaches here with a server that does nothing; "+
		"raise --threads, or give it more CPUs", *f.AchievedRPS, f.CeilingRPS)
}

// system holds what the generator's own system ran out of; the service never saw those requests.
func system(f Facts) string {
	switch {
	case strings.Contains(f.ConnectFailure, syscall.EADDRNOTAVAIL.Error()):
		return fmt.Sprintf("ports: connecting failed (%s); expected a free local port for each connection; "+
			"let the service keep its connections open, or widen net.ipv4.ip_local_port_range", f.ConnectFailure)
	case strings.Contains(f.ConnectFailure, syscall.EMFILE.Error()):
		return fmt.Sprintf("open files: connecting failed (%s); expected a file for each connection; "+
			"raise `ulimit -n`, or lower --max-connections", f.ConnectFailure)
	}
	return ""
}
