package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// forever is later than any run ends.
const forever = math.MaxInt64

// patience is how many times --duration a run may take to reach --min-requests.
const patience = 4

// A run is what all senders share. Everything but the atomics and `live` is fixed before t0.
type run struct {
	options  *options
	target   target
	payloads []payload

	t0             time.Time
	startUnixNS    int64
	measureStartNS int64
	plannedEndNS   int64        // by --duration; forever when --requests alone ends the run
	measureEndNS   atomic.Int64 // as planned, or later while --min-requests are not there

	issued   atomic.Int64 // requests, warm-up included
	claimed  atomic.Int64 // measured requests, counted for --requests and --min-requests
	queued   atomic.Int64 // arrivals that found no free connection
	inFlight atomic.Int64
	dials    atomic.Int64

	interrupted atomic.Bool  // by the user
	stopping    atomic.Bool  // no more requests, those in flight are censored
	stopNS      atomic.Int64 // when that was
	aborted     context.Context
	abort       context.CancelFunc

	live struct {
		sync.Mutex
		wires map[*wire]struct{}
	}
	first    *wire       // the connection that reach made
	file     *sampleFile // nil without --samples
	rows     *collector
	failures [failureCount]atomic.Pointer[string] // the first of each kind, in words
}

func newRun(o *options, to target, payloads []payload) *run {
	r := &run{options: o, target: to, payloads: payloads}
	r.measureStartNS = int64(o.warmup)
	r.plannedEndNS = int64(o.warmup + o.duration)
	if o.endless() {
		r.plannedEndNS = forever
	}
	r.measureEndNS.Store(r.firstEndNS())
	r.aborted, r.abort = context.WithCancel(context.Background())
	r.live.wires = map[*wire]struct{}{}
	return r
}

// firstEndNS is the end of the measured time as far as it is known before the first request. An open
// loop knows when it will have sent how many; a closed loop sees when --min-requests are there.
func (r *run) firstEndNS() int64 {
	o, end := r.options, r.plannedEndNS
	sentNS := func(requests int64) int64 { return r.measureStartNS + int64(math.Ceil(float64(requests)/o.rate*1e9)) }
	latest := r.measureStartNS + patience*int64(o.duration)
	switch {
	case o.minRequests > 0 && o.open():
		return min(latest, max(end, sentNS(o.minRequests)))
	case o.minRequests > 0:
		return latest
	case o.requests > 0 && o.open():
		return min(end, sentNS(o.requests))
	}
	return end
}

// reach connects once, so that an unreachable service is one line and not a file of failures. The
// connection is handed to the first sender: the service sees nothing that is not measured. Later
// connections go to the address found here, without asking for the name again.
func (r *run) reach() (*wire, error) {
	w, err := dialWire(r.aborted, r.target.dial, min(r.options.timeout, 10*time.Second), r.now)
	if err != nil {
		var wrapped *net.OpError
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, fmt.Errorf("%s: cannot connect to %s: %w; expected a running service; start it or correct --url",
			r.target.url, r.target.dial, err)
	}
	r.target.dial = w.conn.RemoteAddr().String()
	r.dials.Add(1)
	return w, nil
}

// begin sets t0.
func (r *run) begin() {
	r.t0 = time.Now()
	r.startUnixNS = r.t0.UnixNano()
}

func (r *run) now() int64 { return int64(time.Since(r.t0)) }

// adopt makes a connection known to stop.
func (r *run) adopt(w *wire) {
	r.live.Lock()
	r.live.wires[w] = struct{}{}
	r.live.Unlock()
}

func (r *run) drop(w *wire) {
	r.live.Lock()
	delete(r.live.wires, w)
	r.live.Unlock()
	w.conn.Close()
}

// stop ends the run now: nothing more is sent, and requests in flight become censored rows. A sender
// looks at stopping after it has set its deadline, so either it sees the flag or this overrides it.
func (r *run) stop() {
	r.stopNS.CompareAndSwap(0, max(r.now(), 1))
	if r.stopping.Swap(true) {
		return
	}
	r.abort()
	r.live.Lock()
	defer r.live.Unlock()
	for w := range r.live.wires {
		w.conn.SetDeadline(time.Unix(1, 0))
	}
}

// claim tells whether one more request may be sent that is due at the given time.
func (r *run) claim(dueNS int64) bool {
	if dueNS >= r.measureEndNS.Load() || r.stopping.Load() {
		return false
	}
	limit, least := r.options.requests, r.options.minRequests
	if dueNS < r.measureStartNS || (limit == 0 && least == 0) {
		return true
	}
	number := r.claimed.Add(1)
	if number == least {
		r.endSoon()
	}
	return limit == 0 || number <= limit
}

// endSoon ends the measured time as planned or, once that has passed, at the next tick of a coarse
// clock: an end at the very answer that completed the number would count one answer too many.
func (r *run) endSoon() {
	const tickNS = int64(100 * time.Millisecond)
	end := r.plannedEndNS
	if late := r.now() - end; late > 0 {
		end += (late/tickNS + 1) * tickNS
	}
	r.measureEndNS.Store(min(end, r.measureEndNS.Load()))
}

// sleepUntil waits for a time after t0; false if the run was stopped before it came.
func (r *run) sleepUntil(atNS int64) bool {
	left := time.Duration(atNS - r.now())
	if left <= 0 {
		return !r.stopping.Load()
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.aborted.Done():
		return false
	}
}

// noteFailure keeps the first failure of a kind: the summary quotes it, the rows hold only the kind.
func (r *run) noteFailure(f failure, err error) {
	if r.failures[f].Load() == nil {
		text := err.Error()
		r.failures[f].CompareAndSwap(nil, &text)
	}
}
