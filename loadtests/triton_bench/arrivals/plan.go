package arrivals

import "sort"

// A Plan says when each request of an open loop is due, counted in nanoseconds from t0. It never
// changes, so that any number of goroutines may read it.
type Plan struct {
	profile  profile // nil for a recording
	gaps     Gaps
	seed     uint64
	recorded []int64 // due times, in nanoseconds, before they are divided by speed
	speed    float64
}

// NewPlan plans arrivals at the rates of a profile, with gaps of some kind. Constant gaps begin with
// an arrival at 0 and never use the seed; the others are a stationary process from 0 on, so that any
// stretch of time has as many arrivals as its rates ask for, on average. It fails for segments
// without length, rates that are not numbers from 0 to 1e9, profiles without any request, unknown
// gaps, and shapes out of bounds.
func NewPlan(segments []Segment, gaps Gaps, seed uint64) (*Plan, error) {
	profile, err := newProfile(segments)
	if err != nil {
		return nil, err
	}
	if err := gaps.check(); err != nil {
		return nil, err
	}
	return &Plan{profile: profile, gaps: gaps, seed: seed}, nil
}

// EndNS is when the profile ends, or just after the last recorded arrival: every arrival is due
// before it.
func (p *Plan) EndNS() int64 {
	if p.profile == nil {
		return p.replayedNS(len(p.recorded)-1) + 1
	}
	return p.profile.endNS()
}

// Expected is how many requests the rates ask for in a stretch of time, whatever the gaps make
// of it. Of a recording it is the count.
func (p *Plan) Expected(fromNS, toNS int64) float64 {
	if p.profile == nil {
		return float64(max(0, p.before(toNS)-p.before(fromNS)))
	}
	return max(0, p.profile.cumulative(toNS).minus(p.profile.cumulative(fromNS)))
}

// NthNS is when the n-th arrival at or after warmupNS is due, the first being number 1. It is not ok
// when the plan has fewer. Random gaps have to be walked for it, tens of nanoseconds for each arrival
// from 0 on.
func (p *Plan) NthNS(warmupNS, n int64) (dueNS int64, ok bool) {
	if n < 1 {
		return 0, false
	}
	if p.indexed() {
		before := p.before(warmupNS)
		if n > p.most()-before { // an index beyond it could overflow
			return 0, false
		}
		return p.at(before + n - 1)
	}
	a := p.Arrivals()
	for ns, ok := a.Next(); ok; ns, ok = a.Next() {
		if ns >= warmupNS {
			if n--; n == 0 {
				return ns, true
			}
		}
	}
	return 0, false
}

// indexed tells that an arrival's due time follows from its number alone.
func (p *Plan) indexed() bool { return p.profile == nil || p.gaps.Kind == Constant }

// at is when arrival i is due, from 0 on, for an indexed plan.
func (p *Plan) at(i int64) (dueNS int64, ok bool) {
	if p.profile == nil {
		if i >= int64(len(p.recorded)) {
			return 0, false
		}
		return p.replayedNS(int(i)), true
	}
	u := position{whole: i}
	dueNS, k := p.profile.dueNS(u, p.profile.first(u))
	return dueNS, k < len(p.profile)
}

// most is at least the number of arrivals of an indexed plan.
func (p *Plan) most() int64 {
	if p.profile == nil {
		return int64(len(p.recorded))
	}
	return p.profile.total().whole + 1
}

// before is how many arrivals of an indexed plan are due before a time.
func (p *Plan) before(ns int64) int64 {
	return int64(sort.Search(int(p.most()), func(i int) bool {
		dueNS, ok := p.at(int64(i))
		return !ok || dueNS >= ns
	}))
}
