//go:build !linux

package load

import (
	"runtime"
	"time"
)

func preciseThread() { runtime.LockOSThread() }

func lowerPriority() {}

// A sleeper waits for a time, or to be woken. Go's timers wake up to a millisecond late; the send
// lag tells by how much.
type sleeper struct{ woken chan struct{} }

func newSleeper() *sleeper { return &sleeper{make(chan struct{}, 1)} }

func (s *sleeper) sleep(ns int64) []struct{} {
	if ns > 0 {
		timer := time.NewTimer(time.Duration(ns))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.woken:
		}
	}
	return nil
}

func (s *sleeper) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

func (s *sleeper) close() {}
