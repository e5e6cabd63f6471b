package main

import "time"

// A sender owns one connection at a time and sends one request after another over it.
type sender struct {
	run    *run
	number int32
	wire   *wire
	head   []byte // of the request on its way, with its own trace ids
	traces traceIDs
	answer answer
	out    chunkWriter
}

// ended is what a loop needs to know of a request that it sent.
type ended struct {
	sentNS, doneNS int64
	failure        failure
}

func (r *run) newSender(number int32, first *wire) *sender {
	s := &sender{run: r, number: number, traces: newTraceIDs(), out: chunkWriter{to: r.rows}}
	if first != nil {
		s.wire = first
		r.adopt(first)
	}
	return s
}

func (s *sender) close() {
	s.out.flush()
	if s.wire != nil {
		s.run.drop(s.wire)
		s.wire = nil
	}
}

// request sends one image and writes its row, whatever happens. It is never sent twice: a retry
// would hide a service that drops connections.
func (s *sender) request(dueNS int64, image int32) ended {
	s.run.inFlight.Add(1)
	w := s.out.next()
	*w = row{dueNS: dueNS, firstByteNS: none, client: s.number, image: image, stagesUS: noStages}
	payload := &s.run.payloads[image]
	s.head = append(s.head[:0], payload.head...)
	w.trace = s.traces.stamp(s.head[payload.traceOffset:])
	if s.connect(w) {
		s.exchange(w, payload.body)
	}
	s.run.inFlight.Add(-1)
	e := ended{w.sentNS, w.doneNS, w.failure}
	s.out.done(w.doneNS) // from here on the row belongs to the collector
	return e
}

// connect leaves the sender with a connection that was open a moment ago.
func (s *sender) connect(w *row) bool {
	if s.wire != nil {
		if s.wire.usable() {
			return true
		}
		s.hangUp()
	}
	s.run.dials.Add(1)
	wire, err := dialWire(s.run.aborted, s.run.target.dial, s.run.options.timeout, s.run.now)
	if err != nil {
		w.sentNS = s.run.now()
		w.doneNS = w.sentNS
		s.fail(w, dialFailureOf(err), err)
		return false
	}
	s.wire = wire
	s.run.adopt(wire)
	return true
}

func (s *sender) hangUp() {
	s.run.drop(s.wire)
	s.wire = nil
}

func (s *sender) fail(w *row, f failure, err error) {
	if s.run.stopping.Load() {
		f = censoredFailure
	}
	w.failure = f
	s.run.noteFailure(f, err)
}

// exchange sends the request and reads its answer under one deadline, so that no server can stretch
// it by sending a byte now and then.
func (s *sender) exchange(w *row, body []byte) {
	wire, clock := s.wire, s.run.now
	wire.conn.SetDeadline(time.Now().Add(s.run.options.timeout))
	if s.run.stopping.Load() {
		wire.conn.SetDeadline(time.Unix(1, 0))
	}
	w.sentNS = clock()
	sent, sendErr := wire.send(s.head, body)
	w.bytesOut = sent
	// A server may refuse a body before it has read it and close: its answer is then already here.
	err := sendErr
	if sendErr == nil || failureOf(sendErr) != timeoutFailure {
		if err = wire.in.read(&s.answer); err != nil && sendErr != nil {
			err = sendErr
		}
		w.firstByteNS, w.bytesIn = wire.in.firstByteNS, wire.in.received
		w.status, w.stagesUS = s.answer.status, s.answer.stagesUS
	}
	w.doneNS = clock()
	if err != nil {
		s.fail(w, failureOf(err), err)
	}
	if err != nil || sendErr != nil || s.answer.closes {
		s.hangUp()
	}
}
