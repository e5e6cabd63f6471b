package capacity

import (
	"fmt"
	"strings"

	"windtunnel/triton_bench/spoken"
)

// Words tell the result in one line, as in "holds p99=250ms at 380 requests a second (2 of 2648 late
// or failed); not at 420 (31 of 662)".
func (r Result) Words() string {
	words := ""
	switch {
	case r.Status == StatusHeld:
		words = r.heldWords() + r.aboveWords()
	case r.Status == StatusLimited && r.HeldRPS != nil:
		words = r.heldWords() + ", perhaps at more: " + *r.LimitedBy
	case r.Status == StatusLimited:
		words = fmt.Sprintf("whether %s holds could not be measured: %s", r.SLO, *r.LimitedBy)
	case r.Status == StatusNone:
		words = fmt.Sprintf("does not hold %s even at %s%s", r.SLO, spoken.PerSecond(*r.FailedRPS), r.counts(*r.FailedRPS, NotHeld))
	default:
		words = r.unresolvedWords()
	}
	return words + r.contradiction()
}

func (r Result) heldWords() string {
	return fmt.Sprintf("holds %s at %s%s", r.SLO, spoken.PerSecond(*r.HeldRPS), r.counts(*r.HeldRPS, Held))
}

// aboveWords tell what bounds the answer from above.
func (r Result) aboveWords() string {
	words, failed, unresolved := "", r.FailedRPS, r.UnresolvedRPS
	if unresolved != nil && *unresolved > *r.HeldRPS && (failed == nil || *unresolved < *failed) {
		words = "; unresolved at " + spoken.Number(*unresolved) + r.counts(*unresolved, Unresolved)
	}
	if failed != nil {
		words += "; not at " + spoken.Number(*failed) + r.counts(*failed, NotHeld)
	}
	return words
}

func (r Result) unresolvedWords() string {
	switch tried := r.confirmations(); {
	case !r.Finished:
		return fmt.Sprintf("unresolved: the search for %s was stopped before its end%s", r.SLO, r.soFar())
	case len(tried) > 0:
		return fmt.Sprintf("unresolved: %s held in the search%s, but in no confirmation: %s", r.SLO, r.soFar(),
			strings.Join(tried, ", "))
	}
	return fmt.Sprintf("unresolved: too few requests to tell whether %s holds at %s%s", r.SLO,
		spoken.PerSecond(*r.UnresolvedRPS), r.counts(*r.UnresolvedRPS, Unresolved))
}

func (r Result) soFar() string {
	if r.ReachedRPS == nil {
		return ""
	}
	return " at " + spoken.PerSecond(*r.ReachedRPS)
}

// confirmations are what the confirmations came to, in their order.
func (r Result) confirmations() (words []string) {
	for i, a := range r.Answers {
		if a.Kind == Confirm && (i+1 == len(r.Answers) || r.Answers[i+1].RateRPS != a.RateRPS) {
			words = append(words, fmt.Sprintf("%s at %s%s", a.Verdict, spoken.Number(a.RateRPS), r.counts(a.RateRPS, a.Verdict)))
		}
	}
	return words
}

// counts are the requests behind a verdict on a rate.
func (r Result) counts(rateRPS float64, verdict Verdict) string {
	var kind Kind
	for _, a := range r.Answers {
		if a.RateRPS == rateRPS && a.Verdict == verdict {
			kind = a.Kind
		}
	}
	var within, over int64
	for _, a := range r.Answers {
		if a.RateRPS == rateRPS && a.Kind == kind && a.Invalid == nil {
			within += a.Within
			over += a.Over
		}
	}
	if within+over == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d of %d late or failed)", over, within+over)
}

// contradiction tells that a rate held above one that failed.
func (r Result) contradiction() string {
	highest := 0.0
	for _, a := range r.Answers {
		if a.Verdict == Held {
			highest = max(highest, a.RateRPS)
		}
	}
	if r.FailedRPS == nil || highest <= *r.FailedRPS {
		return ""
	}
	return fmt.Sprintf("; contradictory: %s held and %s failed, and the failure counts",
		spoken.Number(highest), spoken.Number(*r.FailedRPS))
}
