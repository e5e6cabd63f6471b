package arrivals

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// moments are the mean and the coefficient of variation of the gaps between due times.
func moments(dueNS []int64) (meanNS, variation float64) {
	var sum, squares float64
	for i := 1; i < len(dueNS); i++ {
		gap := float64(dueNS[i] - dueNS[i-1])
		sum += gap
		squares += gap * gap
	}
	n := float64(len(dueNS) - 1)
	meanNS = sum / n
	return meanNS, math.Sqrt(squares/n-meanNS*meanNS) / meanNS
}

func TestGapsHaveTheMeanOfTheRateAndTheVariationOfTheirShape(t *testing.T) {
	for _, given := range []struct {
		gaps Gaps
		want float64
	}{
		{Gaps{Kind: Poisson}, 1},
		{Gaps{Gamma, 1}, 1},
		{Gaps{Gamma, 0.05}, 1 / math.Sqrt(0.05)},
		{Gaps{Gamma, 0.5}, 1 / math.Sqrt(0.5)},
		{Gaps{Gamma, 0.999}, 1},
		{Gaps{Gamma, 2}, 1 / math.Sqrt(2)},
		{Gaps{Gamma, 30}, 1 / math.Sqrt(30)},
		{Gaps{Gamma, 1e6}, 1e-3},
	} {
		const n = 200_000
		meanNS, variation := moments(walk(mustPlan(t, flat(1000, n*time.Millisecond), given.gaps, 11)))
		if off := math.Abs(meanNS/1e6 - 1); off > 4*given.want/math.Sqrt(n) {
			t.Errorf("%s: a gap of %.0f ns on average, want 1000000", given.gaps, meanNS)
		}
		if off := math.Abs(variation/given.want - 1); off > 0.05 {
			t.Errorf("%s: a coefficient of variation of %.4f, want %.4f", given.gaps, variation, given.want)
		}
	}
}

// The distributions themselves, not only two moments, by Kolmogorov and Smirnov at 0.1 %.
func TestGapsOfKnownDistributionsFollowThem(t *testing.T) {
	exponential := func(x float64) float64 { return 1 - math.Exp(-x) }
	for _, given := range []struct {
		gaps   Gaps
		shares func(gap float64) float64
	}{
		{Gaps{Kind: Poisson}, exponential},
		{Gaps{Gamma, 1}, exponential},
		{Gaps{Gamma, 0.5}, func(x float64) float64 { return math.Erf(math.Sqrt(x / 2)) }},
		{Gaps{Gamma, 2}, func(x float64) float64 { return 1 - math.Exp(-2*x)*(1+2*x) }},
	} {
		source := given.gaps.source(5)
		const n = 50_000
		gaps := make([]float64, n)
		for i := range gaps {
			gaps[i] = source.next()
		}
		slices.Sort(gaps)
		worst := 0.0
		for i, gap := range gaps {
			worst = max(worst, math.Abs(given.shares(gap)-(float64(i)+0.5)/n))
		}
		if limit := 1.95 / math.Sqrt(n); worst > limit {
			t.Errorf("%s: off its distribution by %.4f; at most %.4f is chance", given.gaps, worst, limit)
		}
	}
}

// countsOfSeconds are the arrivals of a second of many plans that differ in their seed.
func countsOfSeconds(t *testing.T, gaps Gaps, s []Segment, second, seeds int) (mean, dispersion float64) {
	t.Helper()
	var sum, squares float64
	for seed := range seeds {
		n := float64(count(mustPlan(t, s, gaps, uint64(seed)), int64(second)*1e9, int64(second+1)*1e9))
		sum += n
		squares += n * n
	}
	mean = sum / float64(seeds)
	return mean, (squares/float64(seeds) - mean*mean) / mean
}

func TestPoissonCountsAreAsDispersedAsTheirMean(t *testing.T) {
	const seeds = 4000
	for _, second := range []int{0, 7} {
		mean, dispersion := countsOfSeconds(t, Gaps{Kind: Poisson}, flat(20, 8*time.Second), second, seeds)
		if math.Abs(mean-20) > 4*math.Sqrt(20./seeds) || math.Abs(dispersion-1) > 4*math.Sqrt(2./seeds) {
			t.Errorf("second %d: mean %.3f, variance over mean %.3f; want 20 and 1", second, mean, dispersion)
		}
	}
}

// An ordinary renewal process of such gaps would send (cv^2 - 1)/2 = 4.5 requests too many.
func TestBurstyArrivalsAreAtTheirRateFromTheBegin(t *testing.T) {
	const seeds = 20_000
	mean, dispersion := countsOfSeconds(t, Gaps{Gamma, 0.1}, flat(10, time.Second), 0, seeds)
	if math.Abs(mean-10) > 4*math.Sqrt(10*dispersion/seeds) {
		t.Errorf("%.3f arrivals in the first second, want 10", mean)
	}
}

func TestArrivalsOfARampFollowItsArea(t *testing.T) {
	const seeds = 2000
	ramp := []Segment{{4 * time.Second, 0, 40}, {4 * time.Second, 40, 0}}
	for second, want := range []float64{5, 15, 25, 35, 35, 25, 15, 5} {
		mean, _ := countsOfSeconds(t, Gaps{Kind: Poisson}, ramp, second, seeds)
		if math.Abs(mean-want) > 4*math.Sqrt(want/seeds) {
			t.Errorf("second %d: %.3f arrivals on average, want %g", second, mean, want)
		}
	}
}

func TestGapsThatCannotBeAreRefusedInOneLine(t *testing.T) {
	for want, gaps := range map[string]Gaps{
		`gaps "uniform"; expected constant, poisson or gamma`: {Kind: "uniform"},
		`gaps ""; expected constant, poisson or gamma`:        {},
		`gamma gaps of shape 0; expected 0.001 to 1e+06`:      {Kind: Gamma},
		`gamma gaps of shape NaN; expected 0.001 to 1e+06`:    {Gamma, math.NaN()},
		`gamma gaps of shape -0.5; expected 0.001 to 1e+06`:   {Gamma, -0.5},
		`gamma gaps of shape 1e+07; expected 0.001 to 1e+06`:  {Gamma, 1e7},
	} {
		if _, err := NewPlan(flat(1, time.Second), gaps, 1); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v; want %s", err, want)
		}
	}
}
