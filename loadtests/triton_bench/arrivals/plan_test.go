package arrivals

import (
	"math"
	"slices"
	"sort"
	"testing"
	"time"
)

// drawnGaps are gaps of every kind, for quick.
func drawnGaps(kind uint8) Gaps {
	return []Gaps{
		{Kind: Constant}, {Kind: Poisson}, {Gamma, 0.1}, {Gamma, 0.5}, {Gamma, 1}, {Gamma, 8},
	}[kind%6]
}

func mustPlan(t testing.TB, s []Segment, gaps Gaps, seed uint64) *Plan {
	t.Helper()
	p, err := NewPlan(s, gaps, seed)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func flat(rate float64, length time.Duration) []Segment { return []Segment{{length, rate, rate}} }

func walk(p *Plan) (dueNS []int64) {
	a := p.Arrivals()
	for ns, ok := a.Next(); ok; ns, ok = a.Next() {
		dueNS = append(dueNS, ns)
	}
	if _, again := a.Next(); again {
		panic("there was an arrival after the last")
	}
	return dueNS
}

// count walks to the arrivals of a stretch of time.
func count(p *Plan, fromNS, toNS int64) (n int64) {
	a := p.Arrivals()
	for ns, ok := a.Next(); ok && ns < toNS; ns, ok = a.Next() {
		if ns >= fromNS {
			n++
		}
	}
	return n
}

func TestArrivalsAscendWithinTheProfileAndTheirSeedDecidesThem(t *testing.T) {
	check(t, func(s segments, kind uint8, seed uint64) bool {
		p := mustPlan(t, s, drawnGaps(kind), seed)
		dueNS := walk(p)
		for _, ns := range dueNS {
			if ns < 0 || ns >= s.lengthNS() {
				return false
			}
		}
		return p.EndNS() == s.lengthNS() && slices.IsSorted(dueNS) && slices.Equal(dueNS, walk(p)) &&
			slices.Equal(dueNS, walk(mustPlan(t, s, drawnGaps(kind), seed)))
	})
}

func TestWalksDoNotDisturbEachOther(t *testing.T) {
	p := mustPlan(t, flat(100, 20*time.Second), Gaps{Gamma, 0.5}, 7)
	a, b := p.Arrivals(), p.Arrivals()
	for range 200 {
		a.Next()
	}
	want := walk(p)
	for i := range 1000 {
		if ns, _ := b.Next(); ns != want[i] {
			t.Fatalf("arrival %d is due at %d, want %d", i, ns, want[i])
		}
		if ns, _ := a.Next(); ns != want[200+i] {
			t.Fatalf("arrival %d is due at %d, want %d", 200+i, ns, want[200+i])
		}
	}
}

func TestAnotherSeedGivesOtherTimesUnlessGapsAreConstant(t *testing.T) {
	for kind := range uint8(6) {
		gaps := drawnGaps(kind)
		one := walk(mustPlan(t, flat(50, time.Minute), gaps, 1))
		two := walk(mustPlan(t, flat(50, time.Minute), gaps, 2))
		if same := slices.Equal(one, two); same != (gaps.Kind == Constant) {
			t.Errorf("%s: the same times from two seeds: %v", gaps, same)
		}
	}
}

// The same seed has to give the same load next year, so that campaigns can be repeated.
func TestTheFirstTimesOfASeedStayWhatTheyWere(t *testing.T) {
	for _, known := range []struct {
		gaps Gaps
		want []int64
	}{
		{Gaps{Kind: Constant}, []int64{0, 333333333, 666666667, 1000000000}},
		{Gaps{Kind: Poisson}, []int64{253737550, 774803643, 780256178, 787350069}},
		{Gaps{Gamma, 0.5}, []int64{121673791, 543741997, 1608915141, 2303322829}},
		{Gaps{Gamma, 4}, []int64{98389132, 421496693, 788541961, 974449102}},
	} {
		if got := walk(mustPlan(t, flat(3, time.Hour), known.gaps, 1))[:4]; !slices.Equal(got, known.want) {
			t.Errorf("%s: %v, want %v", known.gaps, got, known.want)
		}
	}
}

func TestTheNthArrivalIsTheOneThatAWalkComesTo(t *testing.T) {
	check(t, func(s segments, kind uint8, seed uint64, from, nth uint16) bool {
		fromNS := int64(float64(s.lengthNS()) * 1.1 * float64(from) / math.MaxUint16)
		p, n := mustPlan(t, s, drawnGaps(kind), seed), int(nth%500)
		later := walk(p)
		later = later[sort.Search(len(later), func(i int) bool { return later[i] >= fromNS }):]
		for _, n := range []int{n, len(later), len(later) + 1} {
			ns, ok := p.NthNS(fromNS, int64(n))
			if ok != (n >= 1 && n <= len(later)) || ok && ns != later[n-1] {
				return false
			}
		}
		return true
	})
}

func TestThereIsNoArrivalNumberMaxInt64(t *testing.T) {
	p := mustPlan(t, flat(100, time.Second), Gaps{Kind: Constant}, 1)
	if ns, ok := p.NthNS(int64(time.Second)/2, math.MaxInt64); ok {
		t.Errorf("it is due at %d ns", ns)
	}
}

func TestConstantArrivalsOfEachStepAreItsArea(t *testing.T) {
	const step = 10 * time.Second
	second := int64(time.Second)
	p := mustPlan(t, []Segment{
		{step, 20, 20}, {step, 0, 0}, {step, 0, 30}, {step, 30, 0}, {step, 0.1, 0.1}, {step, 45, 45},
	}, Gaps{Kind: Constant}, 1)
	for i, want := range []int64{200, 0, 150, 150, 1, 450} {
		if n := count(p, 10*int64(i)*second, 10*int64(i+1)*second); n != want {
			t.Errorf("step %d: %d arrivals, want %d", i+1, n, want)
		}
		if expected := p.Expected(10*int64(i)*second, 10*int64(i+1)*second); math.Abs(expected-float64(want)) > 1e-9 {
			t.Errorf("step %d: %g expected, want %d", i+1, expected, want)
		}
	}
	paused := mustPlan(t, []Segment{{step, 0, 0}, {step, 5, 5}}, Gaps{Kind: Constant}, 1)
	if first := walk(paused)[0]; first != int64(step) {
		t.Errorf("after a pause the first arrival is due at %d, want at its end", first)
	}
}

func TestConstantArrivalsMissTheAreaByLessThanOne(t *testing.T) {
	check(t, func(s segments, from, to uint16) bool {
		length := float64(s.lengthNS())
		fromNS, toNS := int64(length*float64(from)/math.MaxUint16), int64(length*float64(to)/math.MaxUint16)
		p := mustPlan(t, s, Gaps{Kind: Constant}, 1)
		return math.Abs(float64(count(p, fromNS, toNS))-p.Expected(fromNS, toNS)) < 1+1e-5
	})
}

func TestAnHourAt10000ASecondIsExactToTheLastArrival(t *testing.T) {
	const arrivals = 36_000_000
	p := mustPlan(t, flat(10_000, time.Hour), Gaps{Kind: Constant}, 1)
	for i := int64(arrivals - 1); i >= 0; i -= 37 {
		if ns, ok := p.at(i); !ok || ns != i*100_000 {
			t.Fatalf("arrival %d is due at %d (%v), want %d", i, ns, ok, i*100_000)
		}
	}
	if ns, ok := p.NthNS(0, arrivals); !ok || ns != (arrivals-1)*100_000 {
		t.Errorf("the last arrival is due at %d (%v), want %d", ns, ok, (arrivals-1)*100_000)
	}
	if ns, ok := p.at(arrivals); ok {
		t.Errorf("one more arrival than the hour has, at %d", ns)
	}
}

func TestAWalkThroughAnHourGathersNoRounding(t *testing.T) {
	a := mustPlan(t, flat(1000, time.Hour), Gaps{Kind: Constant}, 1).Arrivals()
	for i := range int64(3_600_000) {
		if ns, ok := a.Next(); !ok || ns != i*1_000_000 {
			t.Fatalf("arrival %d is due at %d (%v), want %d", i, ns, ok, i*1_000_000)
		}
	}
	if _, ok := a.Next(); ok {
		t.Error("more arrivals than the hour has")
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	recording := make([]int64, 10_000)
	replay, err := ReplayPlan(recording, 2)
	if err != nil {
		t.Fatal(err)
	}
	plans := []*Plan{replay}
	for kind := range uint8(6) {
		plans = append(plans, mustPlan(t, []Segment{{time.Minute, 0, 900}, {time.Minute, 900, 0}}, drawnGaps(kind), 1))
	}
	for _, p := range plans {
		a := p.Arrivals()
		if n := testing.AllocsPerRun(5000, func() { a.Next() }); n != 0 {
			t.Errorf("%s: %g allocations for an arrival", p, n)
		}
	}
}

// Bursts a century away ask for differences that a float64 of so many nanoseconds does not have.
func TestArrivalsAscendWhereTheInverseHasNoDigitsLeft(t *testing.T) {
	century := 100 * 365 * 24 * time.Hour
	for _, s := range []Segment{{2 * century, 1e-6, 2e-5}, {2 * century, 2e-5, 1e-6}} {
		if !slices.IsSorted(walk(mustPlan(t, []Segment{s}, Gaps{Gamma, 0.01}, 1))) {
			t.Errorf("%+v: an arrival is due before the one before it", s)
		}
	}
}

// As float64, 0.1 a second for 30 s is a little more than 3 requests: the fourth is not in it.
func TestAnArrivalThatRoundsToTheEndOfASegmentIsOfTheNext(t *testing.T) {
	second := int64(time.Second)
	for _, given := range []struct {
		behind []Segment
		want   []int64
	}{
		{nil, []int64{0, 10 * second, 20 * second}},
		{flat(0, 5*time.Second), []int64{0, 10 * second, 20 * second}},
		{
			append(flat(0, 5*time.Second), flat(1, 2*time.Second)...),
			[]int64{0, 10 * second, 20 * second, 35 * second, 36 * second},
		},
	} {
		p := mustPlan(t, append(flat(0.1, 30*time.Second), given.behind...), Gaps{Kind: Constant}, 1)
		if got := walk(p); !slices.Equal(got, given.want) {
			t.Errorf("behind it %v: %v, want %v", given.behind, got, given.want)
		}
	}
}
