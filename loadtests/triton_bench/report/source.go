// Package report says what was measured: it counts rows while a run is under way, shows how it goes,
// serves it to Prometheus, summarises it for programs and for people, and judges whether the
// instrument itself was the limit.
package report

import (
	"windtunnel/triton_bench/load"
	"windtunnel/triton_bench/sample"
)

// A Source is a run as a report sees it; load.Run is one. All of it may be asked while the run is
// under way, but Usage, which is known at its end. Times are nanoseconds since t0.
type Source interface {
	Config() *load.Config
	Now() int64
	StartUnixNS() int64
	MeasureStartNS() int64
	MeasureEndNS() int64 // as known now
	PlannedEndNS() int64 // load.Forever when only a number of requests ends the run
	Measured(ns int64) bool
	StepOf(ns int64) int // -1: in none
	Issued() int64
	InFlight() int64
	Queued() int64
	Dials() int64
	Interrupted() bool
	FirstFailure(sample.Failure) string
	Window(lastDoneNS int64) sample.Window
	Usage() load.Usage
}
