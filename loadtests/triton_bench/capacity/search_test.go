package capacity

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/quick"
)

// claims checks what every finished search has to keep to, whatever it was told.
func claims(t *testing.T, r Result) {
	t.Helper()
	var within, over int64
	held, reached := of(r.HeldRPS), of(r.ReachedRPS)
	for _, a := range r.Answers {
		if a.Verdict == NotHeld && a.RateRPS <= max(held, reached) {
			t.Errorf("claims %g and %g, but %g failed", held, reached, a.RateRPS)
		}
		if a.Kind == Confirm && a.RateRPS == held && a.Invalid == nil {
			within, over = within+a.Within, over+a.Over
		}
	}
	if held > 0 && Judge(within, over, p99.Percentile) != Held {
		t.Errorf("claims %g, of which %d were within and %d over", held, within, over)
	}
	if confirmed := r.Status == StatusHeld; confirmed && held == 0 || held > reached || !r.Finished {
		t.Errorf("status %s, held %g, reached %g, finished %v", r.Status, held, reached, r.Finished)
	}
	if r.Words() == "" || (r.LimitedBy != nil) != (r.Status == StatusLimited) || r.LimitedBy != nil && *r.LimitedBy == "" {
		t.Errorf("status %s: %q", r.Status, r.Words())
	}
}

func TestTheCapacityOfAServiceWithAStepIsFoundToTheResolution(t *testing.T) {
	property := func(place, start uint16, seed uint64) bool {
		capacity := 5 * math.Pow(1000, float64(place)/math.MaxUint16)         // 5 to 5,000
		first := capacity / 20 * math.Pow(400, float64(start)/math.MaxUint16) // 1/20 to 20 times that
		r := searched(t, Options{StartRPS: first}, step(capacity), seed)
		claims(t, r)
		held, failed := of(r.HeldRPS), of(r.FailedRPS)
		good := r.Status == StatusHeld && held <= capacity && failed > capacity &&
			held > 0.95*0.95*0.95*capacity && failed <= 1.06*capacity
		if !good {
			t.Logf("capacity %g, first %g: %s", capacity, first, r.Words())
		}
		return good
	}
	if err := quick.Check(property, &quick.Config{MaxCount: 300}); err != nil {
		t.Error(err)
	}
}

func TestTheCapacityOfAQueueIsFoundAndSeldomOverstated(t *testing.T) {
	const searches = 200
	for _, given := range []struct {
		name        string
		s           service
		serviceRate float64
		above       int // searches that may end above the capacity
		farAbove    int // and by more than the resolution
	}{
		{"independent requests", independent(mm1(100)), 100, 2, 0},
		{"a slow queue", queue(30), 30, 10, 2},
		{"a queue", queue(100), 100, 70, 10},
		{"a fast queue", queue(400), 400, 10, 0},
	} {
		near, above, farAbove := 0, 0, 0
		for seed := range uint64(searches) {
			r := searched(t, Options{StartRPS: 10}, given.s, seed)
			claims(t, r)
			share := of(r.HeldRPS) / mm1Capacity(given.serviceRate)
			if share > 0.7 && share <= 1.05 {
				near++
			}
			if share > 1 {
				above++
			}
			if share > 1.05 {
				farAbove++
			}
		}
		if near < searches*9/10 || above > given.above || farAbove > given.farAbove {
			t.Errorf("%s: of %d searches %d ended near the capacity, %d above it, %d by more than 5 %%",
				given.name, searches, near, above, farAbove)
		}
	}
}

func TestAServiceAtItsLimitAtEveryRateIsUnresolved(t *testing.T) {
	count := map[Status]int{}
	for seed := range uint64(200) {
		r := searched(t, Options{StartRPS: 10}, independent(func(float64) float64 { return 0.01 }), seed)
		claims(t, r)
		count[r.Status]++
	}
	if count[StatusUnresolved] < 160 {
		t.Errorf("%v of 200 searches; want at least 160 unresolved", count)
	}
}

func TestASearchEndsAndClaimsNoMoreThanItSawWhateverItIsTold(t *testing.T) {
	property := func(seed uint64, start, most, least uint8) bool {
		random := rand.New(rand.NewPCG(seed, 1))
		options := Options{StartRPS: 1 + float64(start)}
		if most%2 == 0 {
			options.MaxRPS = options.StartRPS * (1 + float64(most)/8)
		}
		if least%2 == 0 {
			options.MinRPS = options.StartRPS / (1 + float64(least)/8)
		}
		r := searched(t, options, func(random *rand.Rand, p Probe) Outcome {
			n := random.Int64N(2 * p.MinRequests)
			over := binomial(random, n, []float64{0.0001, 0.01, 0.9}[random.IntN(3)])
			o := Outcome{Within: n - over, Over: over}
			if random.IntN(5) == 0 {
				o.Invalid = "sent late"
			}
			return o
		}, random.Uint64())
		claims(t, r)
		return !t.Failed()
	}
	if err := quick.Check(property, &quick.Config{MaxCount: 1000}); err != nil {
		t.Error(err)
	}
}

func TestTheSameAnswersGiveTheSameSearch(t *testing.T) {
	one, two := searched(t, Options{StartRPS: 3}, queue(100), 5), searched(t, Options{StartRPS: 3}, queue(100), 5)
	if !reflect.DeepEqual(one, two) {
		t.Errorf("%+v and %+v", one, two)
	}
}

func TestOptionsThatMakeNoSenseAreRefusedInOneLine(t *testing.T) {
	for _, given := range []struct {
		o    Options
		want string
	}{
		{Options{}, "first rate 0; expected requests a second, over 0"},
		{Options{StartRPS: math.NaN()}, "first rate NaN; expected requests a second, over 0"},
		{Options{StartRPS: 10, MinRPS: 20}, "lowest rate 20; expected over 0 and at most the first, 10"},
		{Options{StartRPS: 10, MaxRPS: 5}, "highest rate 5; expected at least the first, 10"},
		{Options{StartRPS: 10, Resolution: 0.001}, "resolution 0.001; expected a share from 0.01 to 1"},
		{
			Options{StartRPS: 10, ProbeRequests: 458},
			"458 requests for a probe; expected at least 459, the fewest that can prove the percentile",
		},
		{
			Options{StartRPS: 10, ProbeBudget: 500},
			"a budget of 500 requests; expected at least those of one probe, 2010",
		},
	} {
		if _, err := New(p99, given.o); err == nil || err.Error() != given.want {
			t.Errorf("error %v; want %s", err, given.want)
		}
	}
}
