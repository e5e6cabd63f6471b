package main

import (
	"errors"
	"sync"
	"time"
)

// A dispatcher hands arrivals that are due to connections that are free. Arrivals wait in order of
// their due times; because the schedule is a function of the number, a queue of any length is two
// integers. Its lock is held for a few instructions per arrival, by the pacer and by whoever is free.
type dispatcher struct {
	sync.Mutex
	idle        []*worker // the last to become free is the first to be used: fewer connections stay warm
	next        int64     // arrivals [next, released) are due and wait
	released    int64
	connections int
	limit       int
	finished    bool
}

type worker struct {
	number int32
	wake   chan int64
}

var errNeverSent = errors.New("the run ended before a connection was free")

// release makes the next arrival due. It returns a new worker when one is needed for it.
func (d *dispatcher) release() (started *worker, arrival int64, queued bool) {
	d.Lock()
	arrival = d.released
	d.released++
	if last := len(d.idle) - 1; last >= 0 { // nobody is idle while arrivals wait, so this one is next
		w := d.idle[last]
		d.idle = d.idle[:last]
		d.next++
		d.Unlock()
		w.wake <- arrival
		return nil, arrival, false
	}
	defer d.Unlock()
	if d.connections == d.limit {
		return nil, arrival, true
	}
	w := &worker{number: int32(d.connections), wake: make(chan int64, 1)}
	d.connections++
	d.next++
	return w, arrival, false
}

// take gives a free worker its next arrival; false when there will be none.
func (d *dispatcher) take(w *worker) (arrival int64, ok bool) {
	d.Lock()
	if d.next < d.released {
		arrival = d.next
		d.next++
		d.Unlock()
		return arrival, true
	}
	if d.finished {
		d.Unlock()
		return 0, false
	}
	d.idle = append(d.idle, w)
	d.Unlock()
	arrival, ok = <-w.wake
	return arrival, ok
}

// finish lets workers go home when nothing waits any more.
func (d *dispatcher) finish() {
	d.Lock()
	defer d.Unlock()
	d.finished = true
	for _, w := range d.idle {
		close(w.wake)
	}
	d.idle = nil
}

// abandon takes all waiting arrivals out of the queue.
func (d *dispatcher) abandon() (from, to int64) {
	d.Lock()
	defer d.Unlock()
	from, to = d.next, d.released
	d.next = d.released
	return from, to
}

// openLoop sends every arrival of the schedule. At its end it waits for those on their way, for as
// long as the timeout; what has no answer then is censored.
func (r *run) openLoop(first *wire, plan schedule) {
	d := &dispatcher{limit: r.options.maxConnections}
	order := imageOrder(r.options.seed, 0, len(r.payloads))
	var workers sync.WaitGroup
	start := func(w *worker, arrival int64, wire *wire) {
		workers.Go(func() {
			s := r.newSender(w.number, wire)
			defer s.close()
			for ok := true; ok; arrival, ok = d.take(w) {
				s.request(plan.dueNS(arrival), int32(order[arrival%int64(len(order))]))
			}
		})
	}
	paced := make(chan struct{})
	go func() {
		defer close(paced)
		r.pace(plan, func() {
			if w, arrival, queued := d.release(); w != nil {
				start(w, arrival, first)
				first = nil
			} else if queued {
				r.queued.Add(1)
			}
		})
	}()
	<-paced
	d.finish()
	drained := make(chan struct{})
	go func() { workers.Wait(); close(drained) }()
	timer := time.NewTimer(r.options.timeout)
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C:
		r.stop()
	case <-r.aborted.Done():
	}
	r.censorWaiting(d, plan, order)
	<-drained
}

// pace calls due for each arrival at its time. It looks at the stop flag at least every slice.
func (r *run) pace(plan schedule, due func()) {
	const sliceNS = int64(20 * time.Millisecond)
	p := newPacer(r.t0)
	defer p.release()
	for i := range plan.count {
		at := plan.dueNS(i)
		for now := r.now(); now < at; now = r.now() {
			if r.stopping.Load() {
				return
			}
			p.until(min(at, now+sliceNS))
		}
		if r.stopping.Load() {
			return
		}
		r.issued.Add(1)
		due()
	}
}

// censorWaiting writes the rows of arrivals that were due but never sent.
func (r *run) censorWaiting(d *dispatcher, plan schedule, order []int) {
	from, to := d.abandon()
	out := chunkWriter{to: r.rows}
	for arrival := from; arrival < to; arrival++ {
		w := out.next()
		now := r.now()
		*w = row{
			dueNS: plan.dueNS(arrival), sentNS: now, firstByteNS: none, doneNS: now, client: none,
			image: int32(order[arrival%int64(len(order))]), stagesUS: noStages,
			failure: censoredFailure, neverSent: true,
		}
		out.done(now)
		r.noteFailure(censoredFailure, errNeverSent)
	}
	out.flush()
}
