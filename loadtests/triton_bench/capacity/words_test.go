package capacity

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"windtunnel/triton_bench/spoken"
)

// overs is a service that has a fixed number of requests over at each probe, by its rate and kind.
func overs(of func(p Probe) int64) service {
	return func(_ *rand.Rand, p Probe) Outcome {
		over := of(p)
		return Outcome{Within: p.MinRequests - over, Over: over}
	}
}

// upTo is a service with 2 requests over at each probe, and with all over above a rate.
func upTo(most float64) service {
	return overs(func(p Probe) int64 {
		if p.RateRPS > most {
			return p.MinRequests
		}
		return 2
	})
}

func TestAResultIsToldInOneLine(t *testing.T) {
	for _, given := range []struct {
		name    string
		options Options
		s       service
		want    string
	}{
		{
			"held", Options{StartRPS: 100}, upTo(409),
			"holds p99=250ms at 380 requests a second (2 of 4020 late or failed); not at 417.7 (2010 of 2010 late or failed)",
		},
		{
			"none", Options{StartRPS: 64}, upTo(0.5),
			"does not hold p99=250ms even at 1 request a second (662 of 662 late or failed)",
		},
		{
			"the maximum", Options{StartRPS: 100, MaxRPS: 300}, upTo(1e9),
			"holds p99=250ms at 285 requests a second (2 of 4020 late or failed), perhaps at more: " +
				"the highest rate that was allowed is 300 requests a second",
		},
		{
			"the generator", Options{StartRPS: 100}, limited(upTo(1e9), 409),
			"holds p99=250ms at 380 requests a second (2 of 4020 late or failed), perhaps at more: " +
				"at 417.7 requests a second the generator was the limit: sent late",
		},
		{
			"a hopeless generator", Options{StartRPS: 64}, limited(upTo(1e9), 0.5),
			"whether p99=250ms holds could not be measured: at 1 request a second the generator was the limit: sent late",
		},
		{
			"too few requests", Options{StartRPS: 64}, overs(func(p Probe) int64 { return p.MinRequests / 100 }),
			"unresolved: too few requests to tell whether p99=250ms holds at 1 request a second (38 of 4020 late or failed)",
		},
		{
			"an unresolved rate below the failed", Options{StartRPS: 800},
			overs(func(p Probe) int64 {
				switch {
				case p.RateRPS > 409:
					return p.MinRequests
				case p.RateRPS > 389:
					return p.MinRequests / 100
				}
				return 0
			}),
			"holds p99=250ms at 363.8 requests a second (0 of 4020 late or failed); " +
				"unresolved at 400 (38 of 4020 late or failed); not at 800 (662 of 662 late or failed)",
		},
		{
			"one failed confirmation", Options{StartRPS: 100},
			overs(func(p Probe) int64 {
				if p.RateRPS > 409 || p.Kind == Confirm && p.RateRPS > 375 {
					return p.MinRequests
				}
				return 0
			}),
			"holds p99=250ms at 361 requests a second (0 of 4020 late or failed); not at 380 (4020 of 4020 late or failed); " +
				"contradictory: 400 held and 380 failed, and the failure counts",
		},
		{
			"a maximum that is not confirmed", Options{StartRPS: 100, MaxRPS: 100},
			overs(func(p Probe) int64 {
				if p.Kind == Confirm && p.RateRPS == 95 {
					return p.MinRequests
				}
				return 0
			}),
			"holds p99=250ms at 90.25 requests a second (0 of 4020 late or failed); not at 95 (4020 of 4020 late or failed); " +
				"contradictory: 100 held and 95 failed, and the failure counts",
		},
		{
			"no confirmation", Options{StartRPS: 100, MaxRPS: 100},
			overs(func(p Probe) int64 {
				if p.Kind == Confirm {
					return p.MinRequests
				}
				return 0
			}),
			"unresolved: p99=250ms held in the search, but in no confirmation: not held at 95 (4020 of 4020 late or failed), " +
				"not held at 90.25 (4020 of 4020 late or failed), not held at 85.74 (4020 of 4020 late or failed), " +
				"not held at 81.45 (4020 of 4020 late or failed), not held at 77.38 (4020 of 4020 late or failed); " +
				"contradictory: 100 held and 77.38 failed, and the failure counts",
		},
	} {
		r := searched(t, given.options, given.s, 1)
		claims(t, r)
		if got := r.Words(); got != given.want {
			t.Errorf("%s:\n%s, want\n%s", given.name, got, given.want)
		}
	}
}

func TestAnUnresolvedRateIsAskedForAgainWithAsMuchAsItHad(t *testing.T) {
	s := newSearch(t, Options{StartRPS: 10})
	for i, want := range []Probe{
		{10, 662, Bracket}, {10, 662, Bracket}, {10, 1324, Bracket}, {10, 1372, Bracket}, {5, 662, Bracket},
	} {
		probe, done := s.Next()
		if again, _ := s.Next(); done || probe != want || again != probe {
			t.Fatalf("probe %d: %+v, then %+v; want %+v", i+1, probe, again, want)
		}
		s.Report(Outcome{Within: probe.MinRequests - 7, Over: 7})
		if r := s.Result(); r.Finished || r.Status != StatusUnresolved || r.HeldRPS != nil {
			t.Fatalf("before its end: %+v", r)
		}
	}
}

func TestAnOutcomeWithMoreRequestsThanAskedForCountsInFull(t *testing.T) {
	s := newSearch(t, Options{StartRPS: 10})
	s.Report(Outcome{Within: 9900, Over: 100})
	if probe, _ := s.Next(); probe.RateRPS != 5 {
		t.Errorf("after 10,000 requests without a verdict, %+v; want a lower rate", probe)
	}
	if r := s.Result(); of(r.UnresolvedRPS) != 10 {
		t.Errorf("unresolved at %g, want 10", of(r.UnresolvedRPS))
	}
}

func TestOneInvalidProbeIsForgivenAndLeavesNoRequests(t *testing.T) {
	s := newSearch(t, Options{StartRPS: 10})
	s.Report(Outcome{Over: 500, Invalid: "garbage collection"})
	if probe, _ := s.Next(); probe != (Probe{10, 662, Bracket}) {
		t.Fatalf("after an invalid probe %+v, want the same again", probe)
	}
	s.Report(Outcome{Within: 662})
	if probe, _ := s.Next(); probe != (Probe{20, 662, Bracket}) {
		t.Errorf("after the rate held %+v, want twice the rate", probe)
	}
	if r := s.Result(); of(r.ReachedRPS) != 10 || r.Answers[0].Verdict != Invalid || r.Answers[1].Verdict != Held {
		t.Errorf("%+v", r)
	}
}

func TestAStoppedSearchTellsHowFarItCame(t *testing.T) {
	s := newSearch(t, Options{StartRPS: 10})
	s.Report(Outcome{Within: 662})
	s.Report(Outcome{Within: 600, Over: 1}) // unresolved, and would be asked for again
	want := "unresolved: the search for p99=250ms was stopped before its end at 10 requests a second"
	if got := s.Result().Words(); got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
	if empty := newSearch(t, Options{StartRPS: 10}).Result(); empty.Words() == "" || empty.Status != StatusUnresolved {
		t.Errorf("before the first probe: %+v", empty)
	}
}

func TestAFinishedSearchStaysFinished(t *testing.T) {
	s := newSearch(t, Options{StartRPS: 100, MaxRPS: 100, MinRPS: 100})
	s.Report(Outcome{Over: 662})
	before := s.Result()
	s.Report(Outcome{Within: 662})
	if _, done := s.Next(); !done || len(s.Result().Answers) != len(before.Answers) || before.Status != StatusNone {
		t.Errorf("%+v, then %+v", before, s.Result())
	}
}

func TestAResultIsFlatInJSONAndNullWhereThereIsNothing(t *testing.T) {
	s := newSearch(t, Options{StartRPS: 10, MinRPS: 10})
	for _, step := range []struct {
		report func()
		want   string
	}{
		{func() {}, `{"slo":"p99=250ms","status":"unresolved","finished":false,"held_rps":null,"reached_rps":null,` +
			`"failed_rps":null,"unresolved_rps":null,"limited_by":null,"probes":[]}`},
		{func() { s.Report(Outcome{Invalid: "sent late"}) },
			`{"slo":"p99=250ms","status":"unresolved","finished":false,"held_rps":null,"reached_rps":null,` +
				`"failed_rps":null,"unresolved_rps":null,"limited_by":null,"probes":[{"rate_rps":10,"min_requests":662,` +
				`"kind":"bracket","within":0,"over":0,"invalid":"sent late","verdict":"invalid"}]}`},
		{func() { s.Report(Outcome{Over: 662}) },
			`{"slo":"p99=250ms","status":"none","finished":true,"held_rps":null,"reached_rps":null,"failed_rps":10,` +
				`"unresolved_rps":null,"limited_by":null,"probes":[{"rate_rps":10,"min_requests":662,` +
				`"kind":"bracket","within":0,"over":0,"invalid":"sent late","verdict":"invalid"},{"rate_rps":10,` +
				`"min_requests":662,"kind":"bracket","within":0,"over":662,"invalid":null,"verdict":"not held"}]}`},
	} {
		step.report()
		got, err := json.Marshal(s.Result())
		if err != nil || string(got) != step.want {
			t.Errorf("%s, %v; want\n%s", got, err, step.want)
		}
	}
}

func TestRatesAreToldInFourDigitsOrInFullWhenTheyAreWhole(t *testing.T) {
	for rate, want := range map[float64]string{
		1: "1 request a second", 1.00001: "1 request a second", 0.5: "0.5 requests a second",
		417.68: "417.7 requests a second", 12345: "12345 requests a second", 1e6: "1000000 requests a second",
	} {
		if got := spoken.PerSecond(rate); got != want {
			t.Errorf("%g: %q, want %q", rate, got, want)
		}
	}
}
