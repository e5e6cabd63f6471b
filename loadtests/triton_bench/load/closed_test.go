package load

import (
	"cmp"
	"net"
	"slices"
	"testing"
	"time"

	"windtunnel/triton_bench/sample"
)

// firstOf is each client's first request.
func firstOf(rows []sample.Row) map[int32]sample.Row {
	first := map[int32]sample.Row{}
	for _, row := range rows {
		if was, found := first[row.Client]; !found || row.DueNS < was.DueNS {
			first[row.Client] = row
		}
	}
	return first
}

func TestClientsStartSpreadOverTheTimeThatTheFirstRequestTook(t *testing.T) {
	t.Parallel()
	for _, threads := range []int{1, 3} {
		c := posting(serving(t, func(conn net.Conn, n int64) bool {
			time.Sleep(40 * time.Millisecond)
			return answered(conn, n)
		})).until(40)
		c.Clients, c.Threads = 8, threads
		first := firstOf(done(t, New(c)))
		if len(first) != c.Clients || first[0].DueNS != 0 {
			t.Fatalf("%d threads: %d clients sent, the first at %d", threads, len(first), first[0].DueNS)
		}
		service := first[0].DoneNS - first[0].SentNS
		for client, row := range first {
			want := first[0].DoneNS + service*int64(client)/int64(c.Clients)
			if client > 0 && row.DueNS != want {
				t.Errorf("%d threads: client %d started at %d, want %d", threads, client, row.DueNS, want)
			}
		}
	}
}

func TestClientsStartSpreadEvenIfTheFirstRequestIsNotAnswered(t *testing.T) {
	t.Parallel()
	c := posting(serving(t, func(conn net.Conn, n int64) bool { return n == 1 || answered(conn, n) }))
	c.Clients, c.Timeout = 4, 400*time.Millisecond
	first, giveUp := firstOf(done(t, New(c))), int64(c.Duration/4)
	for client, row := range first {
		if client == 0 {
			continue
		}
		if row.DueNS < giveUp || row.DueNS > int64(c.Duration) {
			t.Errorf("client %d started at %d", client, row.DueNS)
		}
		for other, beside := range first {
			if other != client && beside.DueNS == row.DueNS {
				t.Errorf("clients %d and %d started together", client, other)
			}
		}
	}
	if len(first) != 4 {
		t.Errorf("%d clients sent", len(first))
	}
}

func TestAClientsNextRequestIsDueWhenItsLastWasAnswered(t *testing.T) {
	t.Parallel()
	c := posting(serving(t, answered))
	c.Clients, c.Threads, c.Duration = 5, 2, 100*time.Millisecond
	byClient := map[int32][]sample.Row{}
	for _, row := range done(t, New(c)) {
		byClient[row.Client] = append(byClient[row.Client], row)
	}
	for client, rows := range byClient {
		slices.SortFunc(rows, func(a, b sample.Row) int { return cmp.Compare(a.DueNS, b.DueNS) })
		order := imageOrder(c.Seed, int(client), len(c.Payloads))
		for i, row := range rows {
			if i > 0 && row.DueNS != rows[i-1].DoneNS {
				t.Fatalf("client %d: due at %d, the answer before came at %d", client, row.DueNS, rows[i-1].DoneNS)
			}
			if row.Image != int32(order[i%len(order)]) {
				t.Fatalf("client %d: request %d is of image %d", client, i, row.Image)
			}
		}
	}
	if len(byClient) != 5 {
		t.Errorf("%d clients sent", len(byClient))
	}
}

func TestOneOrderSendsEachImageEquallyOftenInTheMeasuredTime(t *testing.T) {
	t.Parallel()
	for _, warmup := range []time.Duration{0, 50 * time.Millisecond} {
		c := posting(serving(t, answered), slices.Repeat([]string{"x"}, 100)...).until(100)
		c.OneOrder, c.Clients, c.Threads, c.Warmup = true, 7, 3, warmup
		r := New(c)
		sent := map[int32]int{}
		for _, row := range done(t, r) {
			if r.Measured(row.DueNS) {
				sent[row.Image]++
			}
		}
		for image := range int32(100) {
			if sent[image] != 1 {
				t.Errorf("warm-up %v: image %d was sent %d times", warmup, image, sent[image])
			}
		}
	}
}

func TestSeveralThreadsMeasureExactlyTheRequestsAskedFor(t *testing.T) {
	t.Parallel()
	c := posting(serving(t, answered)).until(999)
	c.Clients, c.Threads = 10, 3
	if rows := done(t, New(c)); len(rows) != 999 || outcomes(rows).OK != 999 {
		t.Errorf("%d requests, %+v", len(rows), outcomes(rows))
	}
	c = posting(serving(t, answered))
	c.Clients, c.Threads, c.Duration, c.MinRequests = 10, 3, 20*time.Millisecond, 200
	r := New(c)
	rows := done(t, r)
	for i := range rows {
		if !r.Measured(rows[i].DueNS) {
			t.Errorf("due at %d, outside of the measured time that ended at %d", rows[i].DueNS, r.MeasureEndNS())
		}
	}
	if end := r.MeasureEndNS(); len(rows) < 200 && end < Patience*int64(c.Duration) || end < int64(c.Duration) {
		t.Errorf("%d requests until %d", len(rows), end)
	}
}

func TestMoreThreadsThanClientsEnd(t *testing.T) {
	t.Parallel()
	c := posting(serving(t, answered)).until(20)
	c.Threads = 4
	if rows := done(t, New(c)); len(rows) != 20 {
		t.Errorf("%d requests", len(rows))
	}
}
