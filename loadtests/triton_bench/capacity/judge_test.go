package capacity

import (
	"math"
	"math/rand/v2"
	"testing"
	"testing/quick"
)

// The minima of MLPerf's early stopping at confidence 0.99 and d = 0.
var minima = map[float64]map[int64]int64{
	90:   {0: 44, 1: 64, 2: 81, 5: 127, 10: 197, 50: 681, 100: 1_246},
	95:   {0: 90, 1: 130, 2: 165, 5: 259, 10: 398, 50: 1_372, 100: 2_504},
	99:   {0: 459, 1: 662, 2: 838, 5: 1_307, 10: 2_010, 50: 6_898, 100: 12_571},
	99.9: {0: 4_603, 1: 6_636, 2: 8_403, 5: 13_105, 10: 20_140, 50: 69_058, 100: 125_826},
}

func TestTheRequestsThatProveAPercentileAreThoseOfMLPerf(t *testing.T) {
	for percentile, row := range minima {
		for over, want := range row {
			if n := Needed(percentile, over); n != want {
				t.Errorf("p%g with %d over needs %d, want %d", percentile, over, n, want)
			}
			if v := Judge(want-over, over, percentile); v != Held {
				t.Errorf("p%g with %d of %d over: %s, want held", percentile, over, want, v)
			}
			if v := Judge(want-over-1, over, percentile); v != Unresolved {
				t.Errorf("p%g with %d of %d over: %s, want unresolved", percentile, over, want-1, v)
			}
		}
	}
}

// summed adds up the tail from k on, outwards, term by term.
func summed(n, k int64, share float64, step int64) (sum float64) {
	for ; k >= 0 && k <= n; k += step {
		of := func(v int64) float64 { value, _ := math.Lgamma(float64(v + 1)); return value }
		term := of(n) - of(k) - of(n-k) + float64(k)*math.Log(share) + float64(n-k)*math.Log1p(-share)
		sum += math.Exp(term)
	}
	return sum
}

func TestTailsAreTheSumsOfTheirTerms(t *testing.T) {
	property := func(size uint16, part, chance uint16) bool {
		n := int64(size%5000) + 1
		share := (float64(chance) + 1) / (math.MaxUint16 + 2)
		k := n * int64(part) / math.MaxUint16
		low, high := atMost(n, k, share), atLeast(n, k, share)
		return math.Abs(low-summed(n, k, share, -1)) < 1e-9 && math.Abs(high-summed(n, k, share, 1)) < 1e-9 &&
			math.Abs(low+atLeast(n, k+1, share)-1) < 1e-12
	}
	if err := quick.Check(property, &quick.Config{MaxCount: 500}); err != nil {
		t.Error(err)
	}
	for _, k := range []int64{9_500, 9_900, 10_000} {
		want := summed(1_000_000, k, 0.01, -1)
		if got := atMost(1_000_000, k, 0.01); math.Abs(got/want-1) > 1e-6 {
			t.Errorf("at most %d of a million: %g, want %g", k, got, want)
		}
	}
}

func TestVerdictsOnManyRequestsAreThoseOfTheirShare(t *testing.T) {
	for _, given := range []struct {
		within, over int64
		want         Verdict
	}{
		{0, 0, Unresolved}, {458, 0, Unresolved}, {459, 0, Held},
		{980, 20, NotHeld}, {982, 18, Unresolved}, {0, 100, NotHeld},
		{990_000_000, 10_000_000, Unresolved}, {990_010_000, 9_990_000, Held}, {989_990_000, 10_010_000, NotHeld},
	} {
		if v := Judge(given.within, given.over, 99); v != given.want {
			t.Errorf("%d within and %d over: %s, want %s", given.within, given.over, v, given.want)
		}
	}
}

func TestMoreWithinNeverSpeaksAgainstAPercentileAndMoreOverNeverForIt(t *testing.T) {
	order := map[Verdict]int{NotHeld: 0, Unresolved: 1, Held: 2}
	property := func(within uint16, over uint8, which uint8) bool {
		p := []float64{50, 90, 95, 99, 99.9}[which%5]
		h, o := int64(within), int64(over)
		now := order[Judge(h, o, p)]
		return order[Judge(h+1, o, p)] >= now && order[Judge(h, o+1, p)] <= now
	}
	if err := quick.Check(property, &quick.Config{MaxCount: 2000}); err != nil {
		t.Error(err)
	}
}

// A service exactly at its percentile is called either way in 1 % of all cases at most.
func TestVerdictsAreWrongAsRarelyAsTheySay(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const visits = 4000
	for _, given := range []struct {
		percentile float64
		n          int64
	}{{99, 662}, {99, 6898}, {95, 130}, {90, 500}} {
		count := map[Verdict]int{}
		for range visits {
			over := binomial(random, given.n, overShare(given.percentile))
			count[Judge(given.n-over, over, given.percentile)]++
		}
		for _, v := range []Verdict{Held, NotHeld} {
			if share := float64(count[v]) / visits; share > risk+4*math.Sqrt(risk/visits) {
				t.Errorf("p%g of %d requests: %s in %.2f %% of all cases", given.percentile, given.n, v, 100*share)
			}
		}
	}
}

// binomial draws by the gaps between successes, which are few here.
func binomial(random *rand.Rand, n int64, share float64) (successes int64) {
	if share >= 1 {
		return n
	}
	for at := int64(-1); ; successes++ {
		gap := random.ExpFloat64() / -math.Log1p(-share)
		if gap >= float64(n-at-1) {
			return successes
		}
		at += 1 + int64(gap)
	}
}
