package load

import (
	"sort"
	"time"

	"windtunnel/triton_bench/sample"
)

// Now is the time since t0, in nanoseconds on the monotonic clock: that of all rows.
func (r *Run) Now() int64 { return int64(time.Since(r.t0)) }

// Config is what the run was made of; it does not change.
func (r *Run) Config() *Config { return &r.config }

// StartUnixNS is t0 on the wall clock.
func (r *Run) StartUnixNS() int64 { return r.startUnixNS }

// MeasureStartNS is the end of the warm-up.
func (r *Run) MeasureStartNS() int64 { return int64(r.config.Warmup) }

// MeasureEndNS is the end of the measured time as known now: MinRequests may bring it nearer.
func (r *Run) MeasureEndNS() int64 { return r.measureEndNS.Load() }

// PlannedEndNS is the end by duration, Forever when only a number of requests ends the run.
func (r *Run) PlannedEndNS() int64 { return r.plannedEndNS }

// Measured tells whether a time lies in the measured time; a request belongs where it was due.
func (r *Run) Measured(ns int64) bool {
	return ns >= r.MeasureStartNS() && ns < r.measureEndNS.Load()
}

// StepOf is the index of the step in which a time lies, -1 if in none.
func (r *Run) StepOf(ns int64) int {
	steps := r.config.Steps
	i := sort.Search(len(steps), func(i int) bool { return ns < steps[i].EndNS })
	if i < len(steps) && ns >= steps[i].StartNS {
		return i
	}
	return -1
}

// Issued counts the requests that were begun, warm-up included.
func (r *Run) Issued() int64 { return r.issued.Load() }

// InFlight counts the requests that have no answer yet.
func (r *Run) InFlight() int64 { return r.inFlight.Load() }

// Queued counts the arrivals of an open loop for which no connection was free.
func (r *Run) Queued() int64 { return r.queued.Load() }

// Dials counts the connections that were opened.
func (r *Run) Dials() int64 { return r.dials.Load() }

// Interrupted tells that the user ended the run.
func (r *Run) Interrupted() bool { return r.interrupted.Load() }

// FirstFailure is the first failure of a kind in words, empty if there was none.
func (r *Run) FirstFailure(f sample.Failure) string {
	if text := r.failures[f].Load(); text != nil {
		return *text
	}
	return ""
}

// Window is the measured time as it came about, given when the last request ended: a closed loop
// that Requests ends, and any run that the user ends, is over with its last answer.
func (r *Run) Window(lastDoneNS int64) sample.Window {
	end := r.measureEndNS.Load()
	if r.cutShort() || (r.config.Requests > 0 && !r.config.Open()) {
		end = min(end, max(lastDoneNS+1, r.stopNS.Load()))
	}
	return sample.Window{
		StartUnixNS: r.startUnixNS, MeasureStartNS: r.MeasureStartNS(), MeasureEndNS: max(end, r.MeasureStartNS()),
	}
}

// cutShort tells that the run was stopped before its measured time was over.
func (r *Run) cutShort() bool {
	stopNS := r.stopNS.Load()
	return stopNS > 0 && stopNS < r.measureEndNS.Load()
}
