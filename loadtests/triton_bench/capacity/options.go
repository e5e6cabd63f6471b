package capacity

import (
	"fmt"
	"math"
)

// Options say where a search looks and how much it may spend. What is 0 takes its default.
type Options struct {
	StartRPS   float64 // requests a second, tried first; has no default
	MinRPS     float64 // no lower rate is tried; a 64th of StartRPS
	MaxRPS     float64 // no higher rate is tried; 1,000,000
	Resolution float64 // how far apart, as a share, a rate that held and one that did not may end; 0.05
	// ProbeRequests is how many requests a rate is judged by at first; as many as prove the percentile
	// with 10 over its limit. Bracketing takes as few as prove it with one, because it only looks for
	// a direction; a confirmation takes twice as many.
	ProbeRequests int64
	// ProbeBudget is after how many requests a rate that is still unresolved stays so; twice
	// ProbeRequests. A confirmation may take twice that.
	ProbeBudget int64
}

const (
	defaultMaxRPS     = 1_000_000
	defaultResolution = 0.05
	minResolution     = 0.01 // rates are rounded to four digits
	leastRequests     = 100  // by default: fewer say little of a steady state
)

func (o Options) filled(percentile float64) Options {
	fill := func(value *float64, otherwise float64) {
		if *value == 0 {
			*value = otherwise
		}
	}
	fill(&o.MinRPS, o.StartRPS/64)
	fill(&o.MaxRPS, max(o.StartRPS, defaultMaxRPS))
	fill(&o.Resolution, defaultResolution)
	if o.ProbeRequests == 0 {
		o.ProbeRequests = max(leastRequests, Needed(percentile, 10))
	}
	if o.ProbeBudget == 0 {
		o.ProbeBudget = 2 * o.ProbeRequests
	}
	return o
}

// bracketRequests is how many requests a rate is first judged by while bracketing.
func (o Options) bracketRequests(percentile float64) int64 {
	return min(o.ProbeRequests, max(leastRequests, Needed(percentile, 1)))
}

func (o Options) check(percentile float64) error {
	least := Needed(percentile, 0)
	switch {
	case !(o.StartRPS > 0) || math.IsInf(o.StartRPS, 0):
		return fmt.Errorf("first rate %g; expected requests a second, over 0", o.StartRPS)
	case !(o.MinRPS > 0 && o.MinRPS <= o.StartRPS):
		return fmt.Errorf("lowest rate %g; expected over 0 and at most the first, %g", o.MinRPS, o.StartRPS)
	case !(o.MaxRPS >= o.StartRPS) || math.IsInf(o.MaxRPS, 0):
		return fmt.Errorf("highest rate %g; expected at least the first, %g", o.MaxRPS, o.StartRPS)
	case !(o.Resolution >= minResolution && o.Resolution <= 1):
		return fmt.Errorf("resolution %g; expected a share from %g to 1", o.Resolution, minResolution)
	case o.ProbeRequests < least:
		return fmt.Errorf("%d requests for a probe; expected at least %d, the fewest that can prove the percentile",
			o.ProbeRequests, least)
	case o.ProbeBudget < o.ProbeRequests:
		return fmt.Errorf("a budget of %d requests; expected at least those of one probe, %d",
			o.ProbeBudget, o.ProbeRequests)
	}
	return nil
}
