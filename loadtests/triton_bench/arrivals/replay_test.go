package arrivals

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestAReplayIsTheRecordingAtItsSpeed(t *testing.T) {
	check(t, func(steps []uint32, tenths uint8) bool {
		recorded := []int64{0}
		for _, step := range steps {
			recorded = append(recorded, recorded[len(recorded)-1]+int64(step)*int64(step%3))
		}
		speed := (float64(tenths) + 1) / 10
		p, err := ReplayPlan(recorded, speed)
		if err != nil {
			return false
		}
		dueNS := walk(p)
		for i, ns := range recorded {
			if math.Abs(float64(dueNS[i])-float64(ns)/speed) > 0.5+1e-6*speed {
				return false
			}
		}
		return len(dueNS) == len(recorded) && slices.IsSorted(dueNS) && p.EndNS() == dueNS[len(dueNS)-1]+1
	})
}

func TestAReplayAtItsOwnSpeedIsExact(t *testing.T) {
	recorded := []int64{5, 5, 100, 1<<60 + 1, 1<<60 + 1, 1<<60 + 3}
	p, err := ReplayPlan(recorded, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := walk(p); !slices.Equal(got, recorded) {
		t.Errorf("%v, want %v", got, recorded)
	}
	if expected := p.Expected(5, 1<<60+1); expected != 3 {
		t.Errorf("expected %g, want 3", expected)
	}
	if ns, ok := p.NthNS(6, 4); !ok || ns != 1<<60+3 {
		t.Errorf("the fourth after 6 ns is due at %d (%v), want %d", ns, ok, int64(1<<60+3))
	}
	if _, ok := p.NthNS(6, 5); ok {
		t.Error("there is a fifth after 6 ns")
	}
	if want := "arrivals as recorded"; p.String() != want {
		t.Errorf("%q, want %q", p, want)
	}
	fast, _ := ReplayPlan(recorded, 2.5)
	if want := "arrivals as recorded, at 2.5 times their speed"; fast.String() != want {
		t.Errorf("%q, want %q", fast, want)
	}
}

func TestARecordingThatCannotBeReplayedIsRefusedInOneLine(t *testing.T) {
	for _, given := range []struct {
		recorded []int64
		speed    float64
		want     string
	}{
		{nil, 1, "recording: has no arrivals"},
		{[]int64{3, 2}, 1, "recording: due times are not in order"},
		{[]int64{-1, 2}, 1, "recording: first arrival is due at -1 ns"},
		{[]int64{1}, 0, "speed 0; expected"},
		{[]int64{1}, math.NaN(), "speed NaN; expected"},
		{[]int64{1}, math.Inf(1), "speed +Inf; expected"},
		{[]int64{1 << 60}, 1e-3, "speed 0.001: makes the recording longer than 292 years"},
	} {
		if _, err := ReplayPlan(given.recorded, given.speed); err == nil || !strings.HasPrefix(err.Error(), given.want) {
			t.Errorf("error %v; want %s", err, given.want)
		}
	}
}
