package load

import (
	"net"
	"slices"
	"testing"
	"time"

	"windtunnel/triton_bench/arrivals"
	"windtunnel/triton_bench/sample"
)

// planned are the due times of a plan before a time.
func planned(plan *arrivals.Plan, beforeNS int64) (dueNS []int64) {
	walk := plan.Arrivals()
	for ns, ok := walk.Next(); ok && ns < beforeNS; ns, ok = walk.Next() {
		dueNS = append(dueNS, ns)
	}
	return dueNS
}

func dueTimes(rows []sample.Row) (dueNS []int64) {
	for i := range rows {
		dueNS = append(dueNS, rows[i].DueNS)
	}
	slices.Sort(dueNS)
	return dueNS
}

func TestThreadsTogetherSendThePlanAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{arrivals.Constant, arrivals.Poisson, arrivals.Gamma} {
		for _, threads := range []int{1, 2, 3} {
			c := posting(serving(t, answered))
			c.Threads, c.Warmup, c.Duration = threads, 50*time.Millisecond, 150*time.Millisecond
			c = c.arriving(t, 1500, kind)
			rows := done(t, New(c))
			want := planned(c.Plan, int64(c.Warmup+c.Duration))
			if !slices.Equal(dueTimes(rows), want) || len(want) < 100 {
				t.Errorf("%s, %d threads: %d requests, planned are %d", kind, threads, len(rows), len(want))
			}
			order := imageOrder(c.Seed, 0, len(c.Payloads))
			for _, row := range rows {
				number, found := slices.BinarySearch(want, row.DueNS)
				if found && kind == arrivals.Constant && row.Image != int32(order[number%len(order)]) {
					t.Errorf("arrival %d is of image %d", number, row.Image)
				}
			}
		}
	}
}

func TestArrivalsAtOneTimeAreAllSentUpToTheNumberAskedFor(t *testing.T) {
	t.Parallel()
	recorded := slices.Repeat([]int64{10_000_000}, 10)
	for _, requests := range []int64{0, 4} {
		for _, threads := range []int{1, 2} {
			c := posting(serving(t, answered))
			c.Threads, c.Requests = threads, requests
			plan, err := arrivals.ReplayPlan(recorded, 1)
			if err != nil {
				t.Fatal(err)
			}
			c.Plan = plan
			want := len(recorded)
			if requests > 0 {
				want = int(requests)
			}
			if rows := done(t, New(c)); len(rows) != want || outcomes(rows).OK != int64(want) {
				t.Errorf("%d of %d arrivals were sent with --requests %d", len(rows), len(recorded), requests)
			}
		}
	}
}

// A stop meets a lane at any point of its work: no arrival that was due before it may be missing.
func TestAStoppedOpenLoopHasARowForEachArrivalThatWasDue(t *testing.T) {
	t.Parallel()
	c := posting(serving(t, answered))
	c.Duration = time.Minute
	c.MaxConnections = 8
	for _, threads := range []int{1, 2} {
		for round := range 15 {
			c.Threads, c.Seed = threads, uint64(round)
			c = c.arriving(t, 20_000, arrivals.Poisson)
			r := New(c)
			if err := r.Reach(); err != nil {
				t.Fatal(err)
			}
			r.Begin()
			time.AfterFunc(30*time.Millisecond, r.Interrupt)
			rows := dueTimes(collected(t, r))
			stopNS := r.stopNS.Load()
			want := planned(c.Plan, stopNS)
			if before, _ := slices.BinarySearch(rows, stopNS); !slices.Equal(rows[:before], want) {
				t.Errorf("%d threads: %d arrivals were due before the stop, %d are rows", threads, len(want), before)
			}
			if !r.Interrupted() || r.Window(0).MeasureEndNS > int64(time.Second) {
				t.Errorf("interrupted is %v, the window %+v", r.Interrupted(), r.Window(0))
			}
		}
	}
}

func TestTheEndOfAnOpenLoopFollowsFromThePlan(t *testing.T) {
	t.Parallel()
	c := posting(serving(t, answered))
	c.Duration, c.MinRequests = 100*time.Millisecond, 4
	r := New(c.arriving(t, 16, arrivals.Constant))
	rows := done(t, r)
	// 4 requests at 16 a second take 250 ms, whenever the instrument noticed that it had sent them.
	if w := r.Window(0); len(rows) != 4 || w.MeasureEndNS != 250_000_000 {
		t.Errorf("%d requests in a window until %d", len(rows), w.MeasureEndNS)
	}
}

func TestConnectionsAreNotMoreThanAllowedAndArrivalsWaitForThem(t *testing.T) {
	t.Parallel()
	for _, given := range []struct{ threads, connections int }{{1, 1}, {1, 3}, {2, 3}, {3, 3}} {
		c := posting(serving(t, func(conn net.Conn, n int64) bool {
			time.Sleep(15 * time.Millisecond)
			return answered(conn, n)
		}))
		c.Threads, c.MaxConnections, c.Duration = given.threads, given.connections, 120*time.Millisecond
		c = c.arriving(t, 200*float64(given.connections), arrivals.Constant)
		r := New(c)
		rows := done(t, r)
		clients := map[int32]bool{}
		for _, row := range rows {
			clients[row.Client] = true
		}
		if r.Dials() > int64(given.connections) || len(clients) != given.connections {
			t.Errorf("%+v: %d connections, %d were used", given, r.Dials(), len(clients))
		}
		if want := planned(c.Plan, int64(c.Duration)); !slices.Equal(dueTimes(rows), want) || outcomes(rows).OK != int64(len(want)) {
			t.Errorf("%+v: %d of %d were answered", given, outcomes(rows).OK, len(want))
		}
		if r.Queued() == 0 {
			t.Errorf("%+v: three times the load that can be served, and nothing waited", given)
		}
	}
}
