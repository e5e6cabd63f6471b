package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/quick"
)

func filled(values []int64) *distribution {
	d := newDistribution()
	for _, v := range values {
		d.add(v, false)
	}
	return d
}

func TestPercentileIsTheObservedValueOfItsRank(t *testing.T) {
	property := func(raw []uint32, percent uint8) bool {
		if len(raw) == 0 {
			return true
		}
		values := make([]int64, len(raw))
		for i, v := range raw {
			values[i] = int64(v)
		}
		p := float64(percent%99+1) / 100
		got, ok := filled(values).percentile(p)
		slices.Sort(values)
		return ok && got == values[int(math.Ceil(p*float64(len(values))-1e-9))-1]
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
}

func TestP95OfAHundredIsThe95th(t *testing.T) {
	values := make([]int64, 100)
	for i := range values {
		values[i] = int64(i + 1)
	}
	if got, _ := filled(values).percentile(0.95); got != 95 { // 0.95*100 is 95.000...01 in floats elsewhere
		t.Errorf("got %d", got)
	}
}

func TestTheEstimateIsObservedAndAtMostATwoThousandthHigh(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	values := make([]int64, 5000)
	for i := range values {
		values[i] = int64(math.Exp(random.Float64()*20 + 3))
	}
	d := filled(values)
	for _, p := range []float64{0.01, 0.5, 0.95, 0.99, 1} {
		exact, _ := d.percentile(p)
		estimate, _ := d.live(p)
		if !slices.Contains(values, estimate) || estimate < exact || float64(estimate) > float64(exact)*(1+1./2048) {
			t.Errorf("P%g: %d for %d", 100*p, estimate, exact)
		}
	}
}

func TestValuesThatNoLongerFitAreStillObserved(t *testing.T) {
	d := newDistribution()
	for i := range int64(exactLimit + 1000) {
		d.add(1000+i, false)
	}
	if d.exact != nil {
		t.Fatal("kept everything")
	}
	got, ok := d.percentile(0.5)
	want := 1000 + int64(exactLimit+1000)/2
	if !ok || math.Abs(float64(got-want)) > float64(want)/2048 {
		t.Errorf("P50 %d, want about %d", got, want)
	}
}

func TestRequestsGivenUpRankAboveAllAnswers(t *testing.T) {
	d := newDistribution()
	for i := range int64(90) {
		d.add(i+1, false)
	}
	for range 10 {
		d.add(50, true) // given up after 50: at least that, not 50
	}
	if got, ok := d.percentile(0.90); !ok || got != 90 {
		t.Errorf("P90 %d %v, want 90", got, ok)
	}
	if got, ok := d.percentile(0.95); ok {
		t.Errorf("P95 is %d, want unknown", got)
	}
}

func TestASummaryLeavesOutWhatTooFewRequestsCannotSay(t *testing.T) {
	for n, want := range map[int][3]bool{0: {}, 71: {true}, 72: {true, true}, 367: {true, true}, 368: {true, true, true}} {
		l := latencies(filled(make([]int64, n)))
		if got := [3]bool{l.P50 != nil, l.P95 != nil, l.P99 != nil}; got != want {
			t.Errorf("%d requests: %v, want %v", n, got, want)
		}
	}
}
