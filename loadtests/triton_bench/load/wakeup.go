package load

import "time"

// wakeUp learns how long this machine takes to wake a thread: some 10 us on a busy core, 100 us and
// more on one that had gone to sleep in a virtual machine. A lane asks to be woken that much early and
// polls for the rest, which is short because waking took the time that was foreseen.
type wakeUp struct {
	usualNS  int64
	polledNS int64 // in all, and until when it was decided to poll last
	pollToNS int64
}

const (
	firstWakeNS = int64(50 * time.Microsecond)
	longestNS   = int64(200 * time.Microsecond) // more is a neighbour's work, and not worth polling for
	stepNS      = int64(2 * time.Microsecond)
	// pollShare is how much of the time may be spent polling: the service may need the core.
	pollShare = 0.1
)

func newWakeUp() wakeUp { return wakeUp{usualNS: firstWakeNS, pollToNS: -1} }

// sleep is how long to sleep now in order to be awake at a time; 0 means to poll.
func (w *wakeUp) sleep(untilNS, nowNS int64) (ns int64) {
	left := untilNS - nowNS
	switch {
	case left <= 0 || untilNS == w.pollToNS:
		return 0
	case float64(w.polledNS) > pollShare*float64(nowNS)+float64(longestNS):
		return left
	case left <= w.usualNS:
		w.polledNS, w.pollToNS = w.polledNS+left, untilNS
		return 0
	}
	return left - w.usualNS
}

// learn follows the eighth decile of how late a sleep ended (Robbins and Monro's approximation: up
// by 0.8 of a step when it was later than usual, down by 0.2 when it was not). One that ended before
// its time says nothing: the runtime's signals end any that is longer than 10 ms.
func (w *wakeUp) learn(lateNS int64) {
	switch {
	case lateNS < 0:
	case lateNS > w.usualNS:
		w.usualNS = min(w.usualNS+stepNS*8/10, longestNS)
	default:
		w.usualNS = max(w.usualNS-stepNS*2/10, 0)
	}
}
