package capacity

import "sort"

// A Verdict is what requests say of an SLO at one rate.
type Verdict string

// Verdicts. Judge gives the first three.
const (
	Held       Verdict = "held"
	NotHeld    Verdict = "not held"
	Unresolved Verdict = "unresolved" // more requests could tell
	Invalid    Verdict = "invalid"    // the generator was the limit: nothing is known of the service
)

// risk is how often a verdict on independent requests may be wrong: one minus MLPerf's confidence.
const risk = 0.01

// Judge decides whether a percentile holds, from how many requests were answered well within its
// limit and how many were not: late, failed, timed out or censored. Counts are not below 0.
//
// It is the early stopping rule of MLPerf (inference rules, appendix on early stopping, and
// loadgen/early_stopping.cc), with tolerance d = 0 and confidence 0.99: with h within and t over, p
// held if P(Binomial(h+t, 1-p) <= t) <= 0.01, that is, if a service that just missed the percentile
// would hardly have had so few over. NotHeld is its mirror image, P(Binomial(h+t, 1-p) >= t) <= 0.01.
//
// Both suppose that requests are independent. Those that wait in one queue are not, and whoever looks
// again after more requests gets another chance to be wrong: take the 1 % as a lower bound.
func Judge(within, over int64, percentile float64) Verdict {
	share := overShare(percentile)
	switch n := within + over; {
	case atMost(n, over, share) <= risk:
		return Held
	case atLeast(n, over, share) <= risk:
		return NotHeld
	}
	return Unresolved
}

// Needed is the smallest number of requests of which that many may be over and the percentile still
// held, by the rule of Judge.
func Needed(percentile float64, over int64) int64 {
	share := overShare(percentile)
	most := over + 1
	for atMost(most, over, share) > risk {
		most *= 2
	}
	return over + int64(sort.Search(int(most-over), func(more int) bool {
		return atMost(over+int64(more), over, share) <= risk
	}))
}

// overShare is the share of requests that may be over.
func overShare(percentile float64) float64 { return (100 - percentile) / 100 }

// atMost is P(Binomial(n, share) <= k).
func atMost(n, k int64, share float64) float64 {
	if k >= n {
		return 1
	}
	return incompleteBeta(float64(n-k), float64(k+1), 1-share, share)
}

// atLeast is P(Binomial(n, share) >= k).
func atLeast(n, k int64, share float64) float64 {
	if k <= 0 {
		return 1
	}
	return incompleteBeta(float64(k), float64(n-k+1), share, 1-share)
}
