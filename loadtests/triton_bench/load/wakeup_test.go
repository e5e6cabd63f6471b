package load

import (
	"math/rand/v2"
	"testing"
)

func TestTheTimeToWakeIsLearntAndBounded(t *testing.T) {
	for _, usual := range []int64{0, 7_000, 120_000} {
		w := newWakeUp()
		for range 10_000 {
			w.learn(usual)
		}
		if w.usualNS < usual-stepNS || w.usualNS > usual+stepNS {
			t.Errorf("sleeps that end %d ns late are taken for %d", usual, w.usualNS)
		}
		if early := w.early(1_000_000); early != 1_000_000-w.usualNS || w.early(w.usualNS/2) != 0 {
			t.Errorf("a sleep of a millisecond is shortened to %d", early)
		}
	}
	w := newWakeUp()
	for range 10_000 {
		w.learn(50_000_000)
	}
	if w.usualNS != longestNS {
		t.Errorf("a machine that is always 50 ms late makes it poll for %d ns", w.usualNS)
	}
	random := rand.New(rand.NewPCG(1, 1))
	for range 100_000 {
		w.learn(random.Int64N(100_000))
	}
	if w.usualNS < 70_000 || w.usualNS > 90_000 {
		t.Errorf("the eighth decile of 0 to 100 us was learnt as %d ns", w.usualNS)
	}
}
