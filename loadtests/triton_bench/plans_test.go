package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"windtunnel/triton_bench/arrivals"
	"windtunnel/triton_bench/load"
	"windtunnel/triton_bench/report"
)

// sentAt runs an open loop and gives the due times in its sample file, which is left at path.
func sentAt(t *testing.T, url, path string, flags ...string) (dueNS []int64, s report.Summary) {
	t.Helper()
	image := filepath.Join(folderOf(t, 1), "00.jpg")
	got := program(t, append([]string{"--url", url, "--image", image, "--calibrate", "0", "--json", "--samples", path}, flags...)...)
	if got.status != exitMeasured {
		t.Fatalf("%v: status %d; %s", flags, got.status, got.stderr)
	}
	for _, row := range rowsOf(t, path) {
		dueNS = append(dueNS, row.Due)
	}
	slices.Sort(dueNS)
	return dueNS, decoded[report.Summary](t, got.stdout)
}

// plannedBy is when the requests of the flags are due, without sending any.
func plannedBy(t *testing.T, flags ...string) (dueNS []int64) {
	t.Helper()
	o, err := parseOptions(flags)
	if err != nil {
		t.Fatal(err)
	}
	c, err := o.config(load.Target{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := load.New(c)
	walk := c.Plan.Arrivals()
	for ns, ok := walk.Next(); ok && ns < r.MeasureEndNS(); ns, ok = walk.Next() {
		dueNS = append(dueNS, ns)
	}
	return dueNS
}

func TestTheSampleFileHoldsThePlanAndNothingElse(t *testing.T) {
	t.Parallel()
	url := answering(t, say(fine))
	path := filepath.Join(t.TempDir(), "s.parquet")
	for _, flags := range []string{
		"--rate 500 --warmup 100ms --duration 200ms",
		"--rate 500 --arrivals poisson --warmup 100ms --duration 200ms",
		"--rate 500 --arrivals gamma --shape 0.2 --warmup 50ms --duration 200ms --threads 2",
		"--rate 500 --arrivals poisson --warmup 0 --duration 200ms --threads 3",
		"--steps 100,0,700 --warmup 100ms --duration 100ms --arrivals poisson",
		"--ramp 100..900 --warmup 100ms --duration 300ms --threads 2",
		"--rate 400 --arrivals poisson --warmup 50ms --requests 60",
		"--rate 400 --warmup 50ms --min-requests 60 --duration 50ms --threads 2",
	} {
		words := append(strings.Fields(flags), "--seed", "7")
		want := plannedBy(t, words...)
		got, s := sentAt(t, url, path, words...)
		if !slices.Equal(got, want) || len(want) < 20 || s.Measured.OK != s.Measured.Issued {
			t.Errorf("%s: %d requests, %d are planned; %+v", flags, len(got), len(want), s.Measured)
		}
		other := plannedBy(t, append(strings.Fields(flags), "--seed", "8")...)
		if random := strings.Contains(flags, "--arrivals"); slices.Equal(other, want) == random {
			t.Errorf("%s: another seed gives the same times: %v", flags, !random)
		}
	}
}

func TestTheCountsOfPlansAreThoseOfTheirRates(t *testing.T) {
	for flags, want := range map[string]int{
		"--rate 40 --warmup 2 --duration 10":             480,
		"--rate 40 --warmup 0 --requests 100":            100,
		"--steps 20,40,80 --warmup 1 --duration 10":      20 + 1400,
		"--steps 20,40,80 --warmup 0 --duration 10":      1400,
		"--ramp 10..100 --warmup 0 --duration 20":        1100,
		"--rate 1 --warmup 0 --duration 0.5":             1,
		"--rate 10 --warmup 0 --duration 2 --requests 5": 5,
	} {
		if got := len(plannedBy(t, strings.Fields(flags)...)); got != want {
			t.Errorf("%s: %d requests are planned, want %d", flags, got, want)
		}
	}
}

func TestStepsAreMeasuredEachByItself(t *testing.T) {
	t.Parallel()
	url := answering(t, say(fine))
	path := filepath.Join(t.TempDir(), "s.parquet")
	_, s := sentAt(t, url, path, "--steps", "100,0,400", "--warmup", "100ms", "--duration", "200ms")
	if len(s.Steps) != 3 || s.Window.MeasureEndNS != 700_000_000 {
		t.Fatalf("%+v %+v", s.Steps, s.Window)
	}
	for i, want := range []int64{20, 0, 80} {
		step := s.Steps[i]
		if step.Measured.Issued != want || step.StartNS != int64(i)*200_000_000+100_000_000 || (step.ResponseMS.P50 == nil) != (want == 0) {
			t.Errorf("%+v", step)
		}
	}
}

func TestARecordingIsReplayedAtItsSpeed(t *testing.T) {
	t.Parallel()
	url := answering(t, say(fine))
	folder := t.TempDir()
	recording := filepath.Join(folder, "recording.parquet")
	recorded, was := sentAt(t, url, recording, "--rate", "300", "--arrivals", "gamma", "--warmup", "100ms", "--duration", "300ms", "--seed", "5")
	for _, given := range []struct {
		speed   float64
		flags   []string
		threads string
	}{{1, nil, "1"}, {2, []string{"--speed", "2"}, "1"}, {0.5, []string{"--speed", "0.5"}, "2"}} {
		path := filepath.Join(folder, "again.parquet")
		got, s := sentAt(t, url, path, append(given.flags, "--replay", recording, "--threads", given.threads)...)
		plan, err := arrivals.ReplayPlan(recorded, given.speed)
		if err != nil {
			t.Fatal(err)
		}
		var want []int64
		for walk := plan.Arrivals(); ; {
			ns, ok := walk.Next()
			if !ok {
				break
			}
			want = append(want, ns)
		}
		if !slices.Equal(got, want) || len(got) != len(recorded) {
			t.Errorf("speed %g: %d of %d requests, or at other times", given.speed, len(got), len(recorded))
		}
		if s.Measured.Issued != was.Measured.Issued || s.Window.MeasureStartNS != int64(100e6/given.speed) ||
			s.Window.MeasureEndNS != int64(400e6/given.speed) {
			t.Errorf("speed %g: %+v, recorded were %+v; %+v", given.speed, s.Measured, was.Measured, s.Window)
		}
	}
	// A closed loop's file is a recording too: when its clients sent is when a service was asked.
	program(t, quickly(t, url, 1, "--clients", "3", "--duration", "100ms", "--samples", recording)...)
	var closed []int64
	for _, row := range rowsOf(t, recording) {
		closed = append(closed, row.Due)
	}
	slices.Sort(closed)
	if got, _ := sentAt(t, url, filepath.Join(folder, "open.parquet"), "--replay", recording, "--speed", "0.1"); len(got) != len(closed) {
		t.Errorf("%d of %d requests were replayed", len(got), len(closed))
	}
}

func TestFewerConnectionsThanThreadsAreRefused(t *testing.T) {
	got := program(t, "--rate", "10", "--max-connections", "2", "--threads", "3")
	if got.status != exitUsage || !strings.Contains(got.stderr, "at least one for each of 3 threads") || strings.Count(got.stderr, "\n") != 1 {
		t.Errorf("status %d: %s", got.status, got.stderr)
	}
}
