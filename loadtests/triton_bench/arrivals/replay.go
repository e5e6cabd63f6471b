package arrivals

import (
	"fmt"
	"math"
	"slices"
)

// ReplayPlan plans arrivals as they were recorded: due times in nanoseconds from t0, ascending, each
// divided by speed, so that 2 sends them twice as fast. The plan keeps dueNS, which must not change
// from now on. It fails for a recording without arrivals, with times below 0 or out of order, and for
// a speed that is not over 0 or that slows it down beyond 292 years.
func ReplayPlan(dueNS []int64, speed float64) (*Plan, error) {
	switch {
	case len(dueNS) == 0:
		return nil, fmt.Errorf("recording: has no arrivals; expected at least one")
	case !slices.IsSorted(dueNS):
		return nil, fmt.Errorf("recording: due times are not in order; expected them ascending")
	case dueNS[0] < 0:
		return nil, fmt.Errorf("recording: first arrival is due at %d ns; expected 0 or later", dueNS[0])
	case !(speed > 0) || math.IsInf(speed, 0):
		return nil, fmt.Errorf("speed %g; expected a number over 0", speed)
	case float64(dueNS[len(dueNS)-1])/speed >= math.MaxInt64:
		return nil, fmt.Errorf("speed %g: makes the recording longer than 292 years; expected a higher one", speed)
	}
	return &Plan{recorded: dueNS, speed: speed}, nil
}

// replayedNS is when recorded arrival i is due.
func (p *Plan) replayedNS(i int) int64 {
	if p.speed == 1 {
		return p.recorded[i]
	}
	return int64(math.Round(float64(p.recorded[i]) / p.speed))
}
