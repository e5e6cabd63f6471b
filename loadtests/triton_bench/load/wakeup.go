package load

// wakeUp learns how long this machine takes to wake a thread: some 10 us on a busy core, 100 us and
// more on one that had gone to sleep in a virtual machine. A lane asks to be woken that much early and
// polls for the rest, which is short because waking took the time that was foreseen.
type wakeUp struct{ usualNS int64 }

const (
	firstWakeNS = 50_000
	longestNS   = 200_000 // more would be a neighbour's work, and not worth polling for
	stepNS      = 2_000
)

func newWakeUp() wakeUp { return wakeUp{firstWakeNS} }

// early shortens a sleep; 0 means to poll.
func (w *wakeUp) early(leftNS int64) int64 { return max(leftNS-w.usualNS, 0) }

// learn follows the eighth decile of how late a sleep ended (Robbins and Monro's approximation: up
// by 0.8 of a step when it was later than usual, down by 0.2 when it was not).
func (w *wakeUp) learn(lateNS int64) {
	if lateNS > w.usualNS {
		w.usualNS = min(w.usualNS+stepNS*8/10, longestNS)
	} else {
		w.usualNS = max(w.usualNS-stepNS*2/10, 0)
	}
}
