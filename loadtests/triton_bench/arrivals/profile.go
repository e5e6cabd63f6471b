// Package arrivals says when the requests of an open loop are due. It is pure: due times follow from
// a profile of rates or a recording, the kind of gaps and a seed, and from nothing that a service does.
//
// Arrivals are made in operational time, in which one is due per unit on average, and carried into
// clock time by the inverse of the cumulative rate (E. Cinlar, Introduction to Stochastic Processes,
// 1975, section 4.7). Every due time is computed from its position and never from the due time
// before it, so that nothing drifts.
package arrivals

import (
	"fmt"
	"math"
	"math/big"
	"sort"
	"time"
)

// maxRate is one arrival per nanosecond, the resolution of due times.
const maxRate = 1e9

// A Segment is a part of a profile in which the rate changes evenly. Rates are requests a second at
// its begin and its end; 0 to 0 is a pause.
type Segment struct {
	Duration time.Duration
	From, To float64
}

// A position is a point in operational time. The whole part is kept apart because a float64 that
// counts 36 million arrivals has few digits left for where between two of them it is.
type position struct {
	whole int64
	part  float64 // 0 to 1
}

func (p position) minus(q position) float64 { return float64(p.whole-q.whole) + (p.part - q.part) }

func (p position) plus(gap float64) position {
	if p.part += gap; p.part >= 1 {
		whole := int64(p.part)
		p.whole += whole
		p.part -= float64(whole)
	}
	return p
}

// A piece is a segment with its place in both times.
type piece struct {
	startNS, endNS int64
	start, end     position
	from, to       float64 // requests a second
	slope          float64 // requests a second, a second
}

// A profile is a rate over time, piecewise linear; pieces follow one another from time 0 on.
type profile []piece

func newProfile(segments []Segment) (profile, error) {
	p := make(profile, 0, len(segments))
	var atNS int64
	total := new(big.Rat)
	for i, s := range segments {
		if err := s.check(atNS); err != nil {
			return nil, fmt.Errorf("segment %d of the profile: %w", i+1, err)
		}
		next := piece{
			startNS: atNS, start: toPosition(total), from: s.From, to: s.To,
			slope: (s.To - s.From) / s.Duration.Seconds(),
		}
		atNS += int64(s.Duration)
		total.Add(total, s.area())
		next.endNS, next.end = atNS, toPosition(total)
		p = append(p, next)
	}
	if total.Sign() == 0 {
		return nil, fmt.Errorf("profile of %d segments: asks for no request at all; expected a rate over 0", len(segments))
	}
	return p, nil
}

func (s Segment) check(startNS int64) error {
	for _, rate := range []float64{s.From, s.To} {
		if !(rate >= 0 && rate <= maxRate) {
			return fmt.Errorf("rate %g; expected 0 to %g requests a second", rate, float64(maxRate))
		}
	}
	if s.Duration <= 0 {
		return fmt.Errorf("duration %s; expected more than 0", s.Duration)
	}
	if int64(s.Duration) > math.MaxInt64-startNS {
		return fmt.Errorf("duration %s; expected a profile of at most 292 years; shorten it", s.Duration)
	}
	return nil
}

// area is how many requests a segment asks for. It is exact: the sums of a long profile decide which
// side of a step an arrival is on.
func (s Segment) area() *big.Rat {
	from, to := new(big.Rat).SetFloat64(s.From), new(big.Rat).SetFloat64(s.To)
	twice := from.Add(from, to)
	return twice.Mul(twice, big.NewRat(int64(s.Duration), 2*int64(time.Second)))
}

func toPosition(r *big.Rat) position {
	whole := new(big.Int).Quo(r.Num(), r.Denom())
	rest := new(big.Rat).Sub(r, new(big.Rat).SetInt(whole))
	part, _ := rest.Float64()
	return position{whole.Int64(), part}
}

func (p profile) endNS() int64 { return p[len(p)-1].endNS }

func (p profile) total() position { return p[len(p)-1].end }

// cumulative is how many requests the rates ask for before a time.
func (p profile) cumulative(ns int64) position {
	k := sort.Search(len(p), func(k int) bool { return p[k].endNS > ns })
	switch {
	case ns <= 0:
		return position{}
	case k == len(p):
		return p.total()
	}
	s := &p[k]
	elapsed := float64(ns-s.startNS) / 1e9
	return s.start.plus(elapsed * (s.from + s.slope*elapsed/2))
}

// dueNS is the inverse of cumulative: when the position u is reached. first is a piece that does not
// begin behind it; the answer's own piece comes back, len(p) when u lies behind the profile. At the
// edge of two pieces the later one counts, so that nothing is due at the begin of a pause.
func (p profile) dueNS(u position, first int) (ns int64, k int) {
	for k = first; k < len(p); k++ {
		s := &p[k]
		if u.minus(s.end) >= 0 || s.from == 0 && s.to == 0 {
			continue
		}
		// What rounds to the end of a piece is due at the begin of the next that has a rate.
		if ns := s.dueNS(u); ns < s.endNS {
			return ns, k
		}
	}
	return 0, k
}

// dueNS solves x = from*t + slope*t*t/2 for t, in the form of the quadratic formula that divides by a
// sum of positive terms: it neither cancels digits nor blows up where a segment is nearly flat. A
// falling rate is solved backwards from its end, for the same reason.
func (s *piece) dueNS(u position) int64 {
	x := u.minus(s.start)
	switch {
	case x <= 0:
		return s.startNS
	case s.slope == 0:
		return s.startNS + int64(math.Round(x*1e9/s.from))
	case s.slope > 0:
		return s.startNS + int64(math.Round(2e9*x/(s.from+math.Sqrt(s.from*s.from+2*s.slope*x))))
	}
	left, fall := s.end.minus(u), -s.slope
	return max(s.startNS, s.endNS-int64(math.Round(2e9*left/(s.to+math.Sqrt(s.to*s.to+2*fall*left)))))
}

// first is the piece in which a position lies, for dueNS.
func (p profile) first(u position) int {
	return sort.Search(len(p), func(k int) bool { return u.minus(p[k].end) < 0 })
}
