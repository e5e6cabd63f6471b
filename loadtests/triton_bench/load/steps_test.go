package load

import (
	"testing"
	"testing/quick"
	"time"
)

// bursts have a pause between them, and begin after a warm-up.
func bursts() *Run {
	return New(Config{
		Clients: 4, Threads: 1, Warmup: 10, Duration: 90, Timeout: time.Second,
		Steps: []Step{{StartNS: 10, EndNS: 30, Clients: 2}, {StartNS: 50, EndNS: 100, Clients: 4}},
	})
}

func TestATimeBelongsToTheStepInWhichItLies(t *testing.T) {
	r := bursts()
	for ns, want := range map[int64]int{0: -1, 9: -1, 10: 0, 29: 0, 30: -1, 49: -1, 50: 1, 99: 1, 100: -1, Forever: -1} {
		if got := r.StepOf(ns); got != want {
			t.Errorf("%d lies in step %d, want %d", ns, got, want)
		}
	}
	if New(Config{Threads: 1}).StepOf(5) != -1 {
		t.Error("a load without steps has one")
	}
}

func TestAClientSendsWhileAStepHasRoomForIt(t *testing.T) {
	r := bursts()
	for _, given := range []struct {
		client   int
		ns, want int64
	}{
		{0, 0, 0}, {1, 9, 9}, {0, 10, 10}, {1, 29, 29}, {0, 30, 50}, {1, 49, 50}, {0, 99, 99}, {0, 100, Forever},
		{2, 0, 50}, {3, 20, 50}, {3, 60, 60}, {2, 100, Forever}, {4, 0, Forever},
	} {
		if got := r.activeNS(given.client, given.ns); got != given.want {
			t.Errorf("client %d at %d sends at %d, want %d", given.client, given.ns, got, given.want)
		}
	}
	property := func(client uint8, ns uint16) bool {
		at := r.activeNS(int(client), int64(ns))
		return at >= int64(ns) && (at == Forever || r.activeNS(int(client), at) == at)
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
	if r := New(Config{Threads: 1, Clients: 2}); r.activeNS(1, 7) != 7 {
		t.Error("a client of a load without steps waits")
	}
}
