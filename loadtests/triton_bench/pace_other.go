//go:build !linux

package main

import (
	"runtime"
	"time"
)

// A pacer waits for points in time. Without clock_nanosleep it sleeps to a millisecond before the
// time and yields for the rest, which is precise and costs a core at high rates.
type pacer struct{ t0 time.Time }

func newPacer(t0 time.Time) pacer { return pacer{t0} }

func (p pacer) until(atNS int64) {
	for {
		left := time.Duration(atNS) - time.Since(p.t0)
		switch {
		case left <= 0:
			return
		case left > time.Millisecond:
			time.Sleep(left - time.Millisecond)
		default:
			runtime.Gosched()
		}
	}
}
