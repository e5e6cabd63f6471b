package arrivals

import (
	"math"
	"math/big"
	"math/rand"
	"reflect"
	"testing"
	"testing/quick"
	"time"
)

// segments is a profile that quick draws: pauses, ramps from and to 0 and nearly flat parts included.
type segments []Segment

func (segments) Generate(random *rand.Rand, size int) reflect.Value {
	list := make(segments, 1+random.Intn(5))
	rate := func() float64 { return math.Exp(random.Float64()*9 - 2) } // 0.1 to 1,100 a second
	for i := range list {
		s := Segment{Duration: time.Duration(1 + random.Int63n(int64(20*time.Second)))}
		switch random.Intn(6) {
		case 0: // a pause
		case 1:
			s.To = rate()
		case 2:
			s.From = rate()
		case 3:
			s.From = rate()
			s.To = s.From * (1 + 1e-14*float64(random.Intn(100)-50))
		case 4:
			s.From, s.To = rate(), rate()
		default:
			s.From = rate()
			s.To = s.From
		}
		list[i] = s
	}
	list[random.Intn(len(list))] = Segment{time.Duration(1 + random.Int63n(int64(9*time.Second))), rate(), rate()}
	return reflect.ValueOf(list)
}

func (s segments) lengthNS() (ns int64) {
	for _, part := range s {
		ns += int64(part.Duration)
	}
	return ns
}

func (s segments) profile(t *testing.T) profile {
	t.Helper()
	p, err := newProfile(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func check(t *testing.T, property any) {
	t.Helper()
	if err := quick.Check(property, &quick.Config{MaxCount: 300}); err != nil {
		t.Error(err)
	}
}

func TestTheInverseOfTheCumulativeRateLeadsBack(t *testing.T) {
	check(t, func(s segments, share uint32) bool {
		p := s.profile(t)
		total := p.total().minus(position{})
		u := position{}.plus(total * float64(share) / math.MaxUint32)
		ns, k := p.dueNS(u, 0)
		if k == len(p) {
			return total-u.minus(position{}) < 1e-5 // within rounding to a nanosecond of the end
		}
		// u lies between what is asked for a nanosecond earlier and a nanosecond later.
		return p.cumulative(ns-1).minus(u) < 1e-9 && u.minus(p.cumulative(ns+1)) < 1e-9
	})
}

func TestTheCumulativeRateIsTheAreaUnderTheRates(t *testing.T) {
	check(t, func(s segments, share uint32) bool {
		p := s.profile(t)
		ns := int64(float64(s.lengthNS()) * float64(share) / math.MaxUint32)
		area, start := 0.0, int64(0)
		for _, part := range s {
			length := float64(part.Duration)
			inside := min(max(0, float64(ns-start)), length)
			reached := part.From + (part.To-part.From)*inside/length
			area += (part.From + reached) / 2 * inside / 1e9
			start += int64(part.Duration)
		}
		return math.Abs(p.cumulative(ns).minus(position{})-area) <= 1e-9*max(1, area)
	})
}

func TestDueTimesAreThoseOfExactArithmetic(t *testing.T) {
	// A falling, a rising and a nearly flat hour, each against 300 digits and more.
	for _, s := range []Segment{
		{time.Hour, 10_000, 0}, {time.Hour, 0, 10_000}, {time.Hour, 1e-3, 1}, {time.Hour, 1, 1e-3},
		{time.Hour, 40, 40 * (1 + 1e-15)}, {time.Hour, 40 * (1 + 1e-15), 40}, {time.Hour, 40, math.Nextafter(40, 0)},
		{time.Hour, 3, 3}, {time.Hour, 1e-300, 1}, {time.Hour, 7, 9999},
	} {
		p := segments{s}.profile(t)
		total := p.total().whole
		for i := int64(0); i <= 1000; i++ {
			n := total * i / 1000
			ns, k := p.dueNS(position{whole: n}, 0)
			if k == len(p) {
				ns = p.endNS()
			}
			if exact := exactNS(s, n); math.Abs(float64(ns)-exact) > 1 {
				t.Fatalf("%+v: arrival %d is due at %d ns; exactly it is %.3f", s, n, ns, exact)
			}
		}
	}
}

// exactNS solves the quadratic equation with so many digits that cancelling some does no harm.
func exactNS(s Segment, n int64) float64 {
	of := func(x float64) *big.Float { return new(big.Float).SetPrec(4000).SetFloat64(x) }
	seconds := of(s.Duration.Seconds())
	from, slope := of(s.From), new(big.Float).Sub(of(s.To), of(s.From))
	slope.Quo(slope, seconds)
	x := of(float64(n))
	t := new(big.Float)
	if slope.Sign() == 0 {
		t.Quo(x, from)
	} else {
		root := new(big.Float).Mul(from, from)
		root.Add(root, new(big.Float).Mul(of(2), new(big.Float).Mul(slope, x)))
		if root.Sign() < 0 {
			return float64(s.Duration)
		}
		t.Sub(root.Sqrt(root), from)
		t.Quo(t, slope)
	}
	ns, _ := t.Mul(t, of(1e9)).Float64()
	return ns
}

func TestAProfileThatCannotBeIsRefusedInOneLine(t *testing.T) {
	const second = time.Second
	for want, s := range map[string][]Segment{
		"segment 1 of the profile: rate -1; expected 0 to 1e+09 requests a second":   {{second, -1, 1}},
		"segment 1 of the profile: rate NaN; expected 0 to 1e+09 requests a second":  {{second, 1, math.NaN()}},
		"segment 1 of the profile: rate +Inf; expected 0 to 1e+09 requests a second": {{second, math.Inf(1), 1}},
		"segment 1 of the profile: duration 0s; expected more than 0":                {{0, 1, 1}},
		"segment 1 of the profile: duration -1s; expected more than 0":               {{-second, 1, 1}},
		"segment 2 of the profile: duration 2562047h47m16.854775807s; " +
			"expected a profile of at most 292 years; shorten it": {
			{second, 1, 1}, {math.MaxInt64, 1, 1},
		},
		"profile of 2 segments: asks for no request at all; expected a rate over 0": {{second, 0, 0}, {second, 0, 0}},
		"profile of 0 segments: asks for no request at all; expected a rate over 0": {},
	} {
		_, err := NewPlan(s, Gaps{Kind: Constant}, 1)
		if err == nil || err.Error() != want {
			t.Errorf("error %v; want %s", err, want)
		}
	}
}
