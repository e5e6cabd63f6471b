package report

import (
	"strings"
	"testing"

	"windtunnel/triton_bench/load"
)

func ms(v float64) *float64 { return &v }

// sound is an open loop in order; each case breaks one thing, as far as it just may and a little more.
func sound() Facts {
	return Facts{
		Open: true, ResponseP50MS: ms(10), PaceMS: ms(0.05), PaceAt: "P99", PromptDue: 1000, PromptTaken: 1000,
		AchievedRPS: ms(1000), CeilingRPS: 50_000,
		Usage: load.Usage{
			CPUSeconds: 1, WallSeconds: 10, BusiestLaneShare: 0.2, GOMAXPROCS: 2, GCPauseMaxMS: 0.1, SchedLatencyP99MS: 0.1,
		},
	}
}

func TestEachRuleFiresBeyondItsLimitAndNotAtIt(t *testing.T) {
	closed := func(f *Facts) { f.Open = false }
	for name, given := range map[string]struct {
		change func(*Facts)
		says   string // empty: valid
	}{
		"sound":                {func(f *Facts) {}, ""},
		"sound closed loop":    {closed, ""},
		"lag of a millisecond": {func(f *Facts) { f.PaceMS = ms(1) }, ""},
		"lag over a millisecond": {
			func(f *Facts) { f.PaceMS = ms(1.01) },
			"send lag: P99 is 1.01 ms; expected at most 1.00 ms",
		},
		"lag of 5 % of P50": {func(f *Facts) { f.ResponseP50MS, f.PaceMS = ms(100), ms(5) }, ""},
		"lag over 5 % of P50": {
			func(f *Facts) { f.ResponseP50MS, f.PaceMS = ms(100), ms(5.1) },
			"send lag: P99 is 5.10 ms; expected at most 5.00 ms",
		},
		"lag, nothing answered": {
			func(f *Facts) { f.ResponseP50MS, f.PaceMS = nil, ms(1.5) },
			"send lag",
		},
		"every arrival waited": {
			func(f *Facts) { f.PaceMS, f.PromptDue, f.PromptTaken = nil, 0, 0 },
			"",
		},
		"lag in a closed loop": {func(f *Facts) { closed(f); f.PaceMS = ms(50) }, ""},
		"99 % sent":            {func(f *Facts) { f.PromptTaken = 990 }, ""},
		"less than 99 % sent": {
			func(f *Facts) { f.PromptTaken = 989 },
			"rate: 989 of 1000 requests were sent in the measured time (98.9 %)",
		},
		"the last of few not sent": {func(f *Facts) { f.PromptDue, f.PromptTaken = 10, 9 }, ""},
		"two of few not sent":      {func(f *Facts) { f.PromptDue, f.PromptTaken = 10, 8 }, "rate: 8 of 10"},
		"a rate in a closed loop":  {func(f *Facts) { closed(f); f.PromptTaken = 0 }, ""},
		"thread at 70 %":           {func(f *Facts) { f.BusiestLaneShare = 0.70 }, ""},
		"thread over 70 %": {
			func(f *Facts) { f.BusiestLaneShare = 0.71 },
			"sending thread: the busiest was at work for 71 %",
		},
		"thread in a closed loop": {
			func(f *Facts) { closed(f); f.BusiestLaneShare = 0.9 },
			"the wait is in their latencies; raise --threads, or ask for fewer clients",
		},
		"CPUs at 70 %": {func(f *Facts) { f.CPUSeconds = 14 }, ""},
		"CPUs over 70 %": {
			func(f *Facts) { f.CPUSeconds = 14.2 },
			"CPU: the generator used 71 % of the 2 CPUs",
		},
		"pauses of a millisecond": {func(f *Facts) { f.GCPauseMaxMS, f.GCPauseShare = 1, 0.01 }, ""},
		"one long pause":          {func(f *Facts) { f.GCPauseMaxMS, f.GCPauseShare = 5, 0.005 }, ""},
		"pause over a millisecond": {
			func(f *Facts) { f.GCPauseMaxMS, f.GCPauseShare = 1.2, 0.02 },
			"garbage collection: it stopped the generator for 2.00 % of the time, for up to 1.20 ms",
		},
		"pause in a closed loop":  {func(f *Facts) { closed(f); f.GCPauseMaxMS, f.GCPauseShare = 1.2, 0.02 }, "garbage collection"},
		"pause of a slow service": {func(f *Facts) { f.ResponseP50MS, f.GCPauseMaxMS, f.GCPauseShare = ms(100), 1.2, 0.002 }, ""},
		"scheduler of raw lanes":  {func(f *Facts) { f.SchedLatencyP99MS = 20 }, ""},
		"scheduler of net/http": {
			func(f *Facts) { f.NetHTTP, f.SchedLatencyP99MS = true, 1.5 },
			"scheduler: P99 of the wait of a goroutine is 1.50 ms",
		},
		"quick scheduler of net/http": {func(f *Facts) { f.NetHTTP, f.SchedLatencyP99MS = true, 1 }, ""},
		"half of the ceiling":         {func(f *Facts) { f.AchievedRPS = ms(25_000) }, ""},
		"over half of the ceiling": {
			func(f *Facts) { f.AchievedRPS = ms(25_001) },
			"ceiling: 25001 requests a second were sent; expected at most half of the 50000",
		},
		"ceiling in a closed loop": {func(f *Facts) { closed(f); f.AchievedRPS = ms(40_000) }, "ceiling"},
		"no ceiling":               {func(f *Facts) { f.CeilingRPS, f.AchievedRPS = 0, ms(90_000) }, ""},
		"service refuses":          {func(f *Facts) { f.ConnectFailure = "connect: connection refused" }, ""},
		"out of ports": {
			func(f *Facts) { f.ConnectFailure = "connect: cannot assign requested address" },
			"ports: connecting failed (connect: cannot assign requested address)",
		},
		"out of files": {
			func(f *Facts) { f.ConnectFailure = "socket: too many open files" },
			"open files: connecting failed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			facts := sound()
			given.change(&facts)
			valid, reasons := Check(facts)
			switch {
			case valid != (given.says == "") || len(reasons) > 1:
				t.Errorf("valid %t, %q; want %q", valid, reasons, given.says)
			case !valid && !strings.Contains(reasons[0], given.says):
				t.Errorf("%q, want %q", reasons[0], given.says)
			case !valid && strings.Count(reasons[0], "; ") != 2:
				t.Errorf("%q: not found; expected; remedy", reasons[0])
			}
		})
	}
}

func TestAllReasonsAreGiven(t *testing.T) {
	facts := sound()
	facts.PaceMS, facts.PromptTaken, facts.BusiestLaneShare = ms(30), 700, 0.99
	if valid, reasons := Check(facts); valid || len(reasons) != 3 {
		t.Errorf("%t %q", valid, reasons)
	}
}

func TestNothingKnownIsNoReason(t *testing.T) {
	for _, open := range []bool{false, true} {
		if valid, reasons := Check(Facts{Open: open}); !valid {
			t.Errorf("%q", reasons)
		}
	}
}
