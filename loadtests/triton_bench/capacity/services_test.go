package capacity

import (
	"math"
	"math/rand/v2"
	"testing"
)

var p99 = SLO{99, 250e6}

// A service gives the requests that a probe asks for at a rate, from a random source.
type service func(random *rand.Rand, p Probe) Outcome

// independent is a service of which each request is over with a chance that the rate decides.
func independent(chance func(rate float64) float64) service {
	return func(random *rand.Rand, p Probe) Outcome {
		over := binomial(random, p.MinRequests, chance(p.RateRPS))
		return Outcome{Within: p.MinRequests - over, Over: over}
	}
}

// step is a service that holds up to a capacity and breaks down beyond it.
func step(capacity float64) service {
	return independent(func(rate float64) float64 {
		if rate <= capacity {
			return 0.0005
		}
		return 0.5
	})
}

// mm1 is the share over the limit of a queue with one server that serves that many a second: its
// response times are exponential with the difference of the rates.
func mm1(serviceRate float64) func(rate float64) float64 {
	return func(rate float64) float64 {
		if rate >= serviceRate {
			return 1
		}
		return math.Exp(-(serviceRate - rate) * 0.25)
	}
}

// mm1Capacity is where mm1 is at 1 %.
func mm1Capacity(serviceRate float64) float64 { return serviceRate - math.Log(100)/0.25 }

// queue is that queue itself, request for request, so that neighbours are late together; it starts
// empty and is warmed up.
func queue(serviceRate float64) service {
	return func(random *rand.Rand, p Probe) (o Outcome) {
		wait := 0.0
		warmup := int64(p.RateRPS * 10)
		for i := range p.MinRequests + warmup {
			response := wait + random.ExpFloat64()/serviceRate
			wait = max(0, response-random.ExpFloat64()/p.RateRPS)
			switch {
			case i < warmup:
			case response <= 0.25:
				o.Within++
			default:
				o.Over++
			}
		}
		return o
	}
}

// limited cannot send more than a rate.
func limited(s service, most float64) service {
	return func(random *rand.Rand, p Probe) Outcome {
		if p.RateRPS > most {
			return Outcome{Over: p.MinRequests, Invalid: "sent late"}
		}
		return s(random, p)
	}
}

func newSearch(t testing.TB, options Options) *Search {
	t.Helper()
	s, err := New(p99, options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mostProbes bounds how many probes a search with these options can make.
func mostProbes(o Options) int {
	o = o.filled(p99.Percentile)
	log2 := func(x float64) int { return int(math.Ceil(math.Log2(x))) }
	rates := log2(o.MaxRPS/o.StartRPS) + log2(o.StartRPS/o.MinRPS) + 2 +
		max(0, log2(math.Ln2/math.Log1p(o.Resolution))) + 1 + mostConfirmations
	looks := log2(float64(o.ProbeBudget)/float64(o.bracketRequests(p99.Percentile))) + 1 + mostInvalid - 1
	return rates * looks
}

// searched runs a search to its end.
func searched(t testing.TB, options Options, s service, seed uint64) Result {
	t.Helper()
	search, random := newSearch(t, options), rand.New(rand.NewPCG(seed, 0))
	most := mostProbes(options)
	for range most + 1 {
		probe, done := search.Next()
		if done {
			return search.Result()
		}
		search.Report(s(random, probe))
	}
	t.Fatalf("no end after %d probes", most)
	return Result{}
}

// of is a rate, 0 if there is none.
func of(rate *float64) float64 {
	if rate == nil {
		return 0
	}
	return *rate
}
