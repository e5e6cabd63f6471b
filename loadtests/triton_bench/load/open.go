package load

import (
	"errors"

	"windtunnel/triton_bench/arrivals"
	"windtunnel/triton_bench/sample"
)

var errNeverSent = errors.New("the run ended before a connection was free")

// An openLoop sends each arrival of the plan when it is due, whether or not others were answered.
// With several lanes each takes every n-th arrival. When no connection is free, arrivals wait in the
// order of their due times: the plan remembers them, so a queue of any length takes no memory.
type openLoop struct {
	lane      *lane
	plan      *arrivals.Arrivals
	order     []int
	number    int64 // of the arrival that is next
	dueNS     int64 // when that is due; Forever after the last
	idle      []*sender
	opened    int
	limit     int
	waiting   bool  // arrivals wait for a connection
	patientNS int64 // how long after the end of the measured time answers are waited for
}

func newOpenLoop(l *lane) *openLoop {
	c := &l.run.config
	o := &openLoop{
		lane: l, plan: c.Plan.Arrivals(), order: imageOrder(c.Seed, 0, len(c.Payloads)), number: -1,
		limit: c.MaxConnections / c.Threads, patientNS: int64(c.Timeout),
	}
	if l.number < c.MaxConnections%c.Threads {
		o.limit++
	}
	o.next()
	return o
}

// next goes to this lane's next arrival.
func (o *openLoop) next() {
	for {
		dueNS, ok := o.plan.Next()
		o.number++
		if !ok {
			o.dueNS = Forever
			return
		}
		if o.number%int64(o.lane.run.config.Threads) == int64(o.lane.number) {
			o.dueNS = dueNS
			return
		}
	}
}

func (o *openLoop) send(nowNS int64) (nextNS int64) {
	for o.dueNS <= nowNS {
		s := o.free()
		if s == nil {
			o.waiting = true
			return o.giveUp(nowNS)
		}
		if !o.lane.run.claim(o.dueNS) {
			o.idle = append(o.idle, s)
			if !o.lane.run.stopping.Load() { // what was due before a stop is censored, and not forgotten
				o.dueNS = Forever
			}
			break
		}
		waited := o.dueNS < s.freedNS
		if waited {
			o.lane.run.queued.Add(1)
		}
		image, dueNS := o.order[o.number%int64(len(o.order))], o.dueNS
		o.next()
		o.lane.begin(s, dueNS, int32(image), waited)
	}
	o.waiting = false
	return min(o.dueNS, o.giveUp(nowNS))
}

// giveUp ends the run when those on their way, or waiting for a connection, have had the timeout
// after the end of the measured time; what is unanswered then is censored.
func (o *openLoop) giveUp(nowNS int64) (nextNS int64) {
	atNS := o.lane.run.measureEndNS.Load() + o.patientNS
	if nowNS >= atNS {
		o.lane.run.Stop()
	}
	return atNS
}

// free is a sender with nothing to do: the last to become free, so that fewer connections stay warm,
// or a new one. There is none at the limit.
func (o *openLoop) free() *sender {
	if last := len(o.idle) - 1; last >= 0 {
		s := o.idle[last]
		o.idle = o.idle[:last]
		return s
	}
	if o.opened == o.limit {
		return nil
	}
	s := &sender{number: int32(o.lane.number + o.opened*o.lane.run.config.Threads)}
	o.opened++
	return s
}

func (o *openLoop) ended(s *sender) {
	s.freedNS = 0
	if o.waiting {
		s.freedNS = s.row.DoneNS
	}
	o.idle = append(o.idle, s)
}

func (o *openLoop) over() bool { return o.dueNS == Forever }

// censor writes the rows of arrivals that were due before the run was stopped and never sent.
func (o *openLoop) censor() {
	r := o.lane.run
	for ; o.dueNS < min(r.stopNS.Load(), r.measureEndNS.Load()); o.next() {
		now := max(r.Now(), o.dueNS) // a run may be stopped before t0
		r.issued.Add(1)
		r.noteFailure(sample.CensoredFailure, errNeverSent)
		o.lane.rows.add(&sample.Row{
			DueNS: o.dueNS, SentNS: now, FirstByteNS: sample.None, DoneNS: now, Client: sample.None,
			Image: int32(o.order[o.number%int64(len(o.order))]), StagesUS: sample.NoStages,
			Failure: sample.CensoredFailure, NeverSent: true, TakenNS: now, Waited: o.waiting,
		})
	}
}
