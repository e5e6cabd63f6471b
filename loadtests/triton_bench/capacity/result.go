package capacity

import "windtunnel/triton_bench/spoken"

// A Status says how a search ended.
type Status string

// Statuses.
const (
	StatusHeld       Status = "held"       // HeldRPS was confirmed, and more did not hold
	StatusNone       Status = "none"       // even the lowest rate failed
	StatusUnresolved Status = "unresolved" // the requests did not tell, or the search was stopped
	StatusLimited    Status = "limited"    // the service may do more: the generator or the maximum was the limit
)

// A Result is what a search found. Rates are requests a second, nil where there is none.
type Result struct {
	SLO    string `json:"slo"`
	Status Status `json:"status"`
	// Finished is false as long as the search has not come to its end.
	Finished bool `json:"finished"`
	// HeldRPS is the rate that its own confirmation held: the answer.
	HeldRPS *float64 `json:"held_rps"`
	// ReachedRPS is the highest rate that any probe held, below all that failed. It is what the search
	// saw, without confirmation.
	ReachedRPS *float64 `json:"reached_rps"`
	// FailedRPS is the lowest rate that failed.
	FailedRPS *float64 `json:"failed_rps"`
	// UnresolvedRPS is the lowest rate that stayed unresolved.
	UnresolvedRPS *float64 `json:"unresolved_rps"`
	// LimitedBy is why no higher rate could be tried; nil unless the status is limited.
	LimitedBy *string  `json:"limited_by"`
	Answers   []Answer `json:"probes"`
}

// Result is what the search has found so far.
func (s *Search) Result() Result {
	r := Result{SLO: s.slo.String(), Finished: s.done, Answers: append([]Answer{}, s.answers...)}
	final := s.final()
	for _, a := range final {
		switch {
		case a.Verdict == NotHeld:
			r.FailedRPS = lower(r.FailedRPS, a.RateRPS)
		case a.Verdict == Unresolved:
			r.UnresolvedRPS = lower(r.UnresolvedRPS, a.RateRPS)
		}
	}
	for _, a := range final {
		if a.Verdict != Held || r.FailedRPS != nil && a.RateRPS >= *r.FailedRPS {
			continue
		}
		r.ReachedRPS = higher(r.ReachedRPS, a.RateRPS)
		if a.Kind == Confirm {
			r.HeldRPS = &a.RateRPS
		}
	}
	r.Status, r.LimitedBy = s.status(r.HeldRPS != nil)
	return r
}

// final are the answers that had the last word on their rate: the last of each row of the same probe.
func (s *Search) final() (final []Answer) {
	for i, a := range s.answers {
		last := i == len(s.answers)-1
		if last && !s.done && s.now.rate == a.RateRPS && s.now.kind == a.Kind {
			break // is still being asked for
		}
		if last || s.answers[i+1].RateRPS != a.RateRPS || s.answers[i+1].Kind != a.Kind {
			final = append(final, a)
		}
	}
	return final
}

func (s *Search) status(held bool) (status Status, limitedBy *string) {
	switch {
	case !s.done:
		return StatusUnresolved, nil
	case held && s.high == 0:
		why := "the highest rate that was allowed is " + spoken.PerSecond(s.options.MaxRPS)
		return StatusLimited, &why
	case s.highVerdict == Invalid:
		why := s.lastInvalid()
		return StatusLimited, &why
	case held:
		return StatusHeld, nil
	case s.low == 0 && s.highVerdict == NotHeld:
		return StatusNone, nil
	}
	return StatusUnresolved, nil
}

// lastInvalid is why the lowest rate above the answer could not be measured.
func (s *Search) lastInvalid() (why string) {
	for _, a := range s.answers {
		if a.RateRPS == s.high && a.Invalid != nil {
			why = "at " + spoken.PerSecond(a.RateRPS) + " the generator was the limit: " + *a.Invalid
		}
	}
	return why
}

// lower is the lower of two rates, of which the first may be none.
func lower(a *float64, b float64) *float64 {
	if a != nil {
		b = min(*a, b)
	}
	return &b
}

// higher is the higher of two rates, of which the first may be none.
func higher(a *float64, b float64) *float64 {
	if a != nil {
		b = max(*a, b)
	}
	return &b
}
