package main

import (
	"errors"
	"sync"
	"time"
)

// A rota passes the schedule from worker to worker. One of those that are free leads: it sleeps until
// the next arrival is due, names another leader and sends the request itself, so that no second
// wake-up stands between a due time and its request. When nobody is free, arrivals wait in order of
// their due times, and the first worker to become free takes the first of them; because the schedule
// is a function of the number, a queue of any length is one integer. The lock is held for a few
// instructions per arrival.
type rota struct {
	sync.Mutex
	idle        []*worker // the last to become free leads first: fewer connections stay warm
	next        int64     // arrival that the leader waits for
	led         bool      // somebody leads, or is on the way to
	connections int
	limit       int
	finished    bool
}

// A worker is one connection of an open loop.
type worker struct {
	number int32
	wake   chan struct{} // a word means: lead
}

var errNeverSent = errors.New("the run ended before a connection was free")

// join makes a free worker the leader, at once or when its turn comes. named tells that it was named
// already, by whom it was hired; late, that nobody led until now. There may be nothing more to lead.
func (d *rota) join(w *worker, named bool) (arrival int64, late, ok bool) {
	d.Lock()
	if late = !d.led; d.led && !named && !d.finished {
		d.idle = append(d.idle, w)
		d.Unlock()
		<-w.wake
		d.Lock()
	}
	defer d.Unlock()
	if d.finished {
		return 0, false, false
	}
	d.led = true
	arrival = d.next
	d.next++
	return arrival, late, true
}

// pass names the next leader: a worker that is idle, or a new one, which is returned.
func (d *rota) pass() (started *worker) {
	d.Lock()
	defer d.Unlock()
	if last := len(d.idle) - 1; last >= 0 {
		w := d.idle[last]
		d.idle = d.idle[:last]
		w.wake <- struct{}{}
		return nil
	}
	if d.connections == d.limit {
		d.led = false
		return nil
	}
	return d.hire()
}

func (d *rota) hire() *worker {
	w := &worker{number: int32(d.connections), wake: make(chan struct{}, 1)}
	d.connections++
	return w
}

// finish sends everybody home; the leader's arrival goes back, it was not sent.
func (d *rota) finish() {
	d.Lock()
	defer d.Unlock()
	d.finished = true
	d.next--
	for _, w := range d.idle {
		w.wake <- struct{}{}
	}
	d.idle = nil
}

// An openRun is one open loop under way.
type openRun struct {
	*run
	plan    schedule
	order   []int
	rota    rota
	pacer   pacer
	workers sync.WaitGroup
}

// openLoop sends every arrival of the schedule. At its end it waits for those on their way, for as
// long as the timeout; what has no answer then is censored.
func (r *run) openLoop(first *wire, plan schedule) {
	o := &openRun{run: r, plan: plan, order: imageOrder(r.options.seed, 0, len(r.payloads)), pacer: newPacer(r.t0)}
	o.rota.limit = r.options.maxConnections
	o.rota.led = true
	o.start(o.rota.hire(), first)
	drained := make(chan struct{})
	go func() { o.workers.Wait(); close(drained) }()
	timer := time.NewTimer(time.Duration(plan.dueNS(plan.count)-r.now()) + r.options.timeout)
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C:
		r.stop()
	case <-r.aborted.Done():
	}
	<-drained
	o.censorWaiting()
}

// start begins a worker that leads first.
func (o *openRun) start(w *worker, wire *wire) {
	o.workers.Go(func() {
		s := o.newSender(w.number, wire)
		defer s.close()
		for named := true; ; named = false {
			arrival, ok := o.lead(w, named)
			if !ok {
				return
			}
			s.request(o.plan.dueNS(arrival), int32(o.order[arrival%int64(len(o.order))]))
		}
	})
}

// lead returns the arrival that this worker must send now.
func (o *openRun) lead(w *worker, named bool) (arrival int64, ok bool) {
	arrival, late, ok := o.rota.join(w, named)
	if !ok {
		return 0, false
	}
	if arrival >= o.plan.count || !o.await(o.plan.dueNS(arrival), late) {
		o.rota.finish()
		return 0, false
	}
	o.issued.Add(1)
	if started := o.rota.pass(); started != nil {
		o.start(started, nil)
	}
	return arrival, true
}

// await sleeps until an arrival is due. It looks at the stop flag at least every slice.
func (o *openRun) await(dueNS int64, late bool) bool {
	const sliceNS = int64(20 * time.Millisecond)
	now := o.now()
	if late && now > dueNS {
		o.queued.Add(1)
	}
	for ; now < dueNS; now = o.now() {
		if o.stopping.Load() {
			return false
		}
		o.pacer.until(min(dueNS, now+sliceNS))
	}
	return !o.stopping.Load()
}

// censorWaiting writes the rows of arrivals that were due but never sent.
func (o *openRun) censorWaiting() {
	stopNS := o.stopNS.Load()
	if stopNS == 0 {
		return
	}
	out := chunkWriter{to: o.rows}
	for arrival := o.rota.next; arrival < min(o.plan.count, o.plan.dueBefore(stopNS)); arrival++ {
		o.issued.Add(1)
		now := o.run.now()
		*out.next() = row{
			dueNS: o.plan.dueNS(arrival), sentNS: now, firstByteNS: none, doneNS: now, client: none,
			image: int32(o.order[arrival%int64(len(o.order))]), stagesUS: noStages,
			failure: censoredFailure, neverSent: true,
		}
		out.done(now)
		o.noteFailure(censoredFailure, errNeverSent)
	}
	out.flush()
}
