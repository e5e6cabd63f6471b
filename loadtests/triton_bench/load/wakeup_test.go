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
		for range 10_000 {
			w.learn(-5_000_000) // a signal
		}
		if w.usualNS < usual-stepNS {
			t.Errorf("sleeps cut short make %d ns of %d", w.usualNS, usual)
		}
		const now, until = 1_000_000_000, 1_001_000_000
		if ns := w.sleep(until, now); ns != 1_000_000-w.usualNS {
			t.Errorf("a sleep of a millisecond is shortened to %d", ns)
		}
		if ns := w.sleep(until, until-w.usualNS/2); ns != 0 {
			t.Errorf("it sleeps for %d ns shortly before the time", ns)
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

func TestPollingStaysWithinItsShareOfTheTime(t *testing.T) {
	w := newWakeUp()
	now, polled := int64(0), int64(0)
	const gap = 100_000
	for due := int64(gap); due < 10_000_000_000; due += gap {
		for now < due {
			ns := w.sleep(due, now)
			if ns == 0 {
				polled += due - now
				ns = due - now
			}
			now += ns // woken at once, so that all of what it foresaw is polled
		}
	}
	if share := float64(polled) / float64(now); share > pollShare*1.01 {
		t.Errorf("polls for %.0f %% of the time", 100*share)
	}
}
