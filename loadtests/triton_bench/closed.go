package main

import (
	"sync"
	"time"
)

// A client that cannot connect waits before it tries again: without a pause it would write down
// nothing but its own speed.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = time.Second
)

// A startSignal tells the other clients how long the first request took.
type startSignal struct {
	once                  sync.Once
	given                 chan struct{}
	answeredNS, serviceNS int64
	longestWaitNS         int64
}

// closedLoop runs the clients until the end of the run. Client 0 begins at once; the others spread
// their starts over the service time that its first request shows, or over a second at most.
func (r *run) closedLoop(first *wire) {
	signal := &startSignal{given: make(chan struct{})}
	signal.longestWaitNS = int64(min(time.Second, (r.options.warmup+r.options.duration)/4))
	var clients sync.WaitGroup
	for number := range r.options.clients {
		wire := first
		first = nil
		clients.Go(func() {
			s := r.newSender(int32(number), wire)
			defer s.close()
			r.client(s, signal)
		})
	}
	clients.Wait()
}

func (r *run) client(s *sender, signal *startSignal) {
	dueNS := int64(0)
	if s.number > 0 {
		dueNS = r.awaitStart(int(s.number), signal)
	}
	order := imageOrder(r.options.seed, int(s.number), len(r.payloads))
	pause := firstPause
	for i := 0; r.claim(dueNS); i++ {
		r.issued.Add(1)
		w := s.request(dueNS, int32(order[i%len(order)]))
		if s.number == 0 && i == 0 {
			signal.give(w.doneNS, w.doneNS-w.sentNS)
		}
		// From the last answer on, the client is free; what it does itself counts as send lag.
		dueNS = w.doneNS
		if w.failure != connectFailure {
			pause = firstPause
			continue
		}
		if !r.sleepUntil(dueNS + int64(pause)) {
			return
		}
		pause = min(2*pause, lastPause)
		dueNS = r.now()
	}
}

func (s *startSignal) give(answeredNS, serviceNS int64) {
	s.once.Do(func() {
		s.answeredNS, s.serviceNS = answeredNS, min(serviceNS, s.longestWaitNS)
		close(s.given)
	})
}

// awaitStart waits for this client's turn and returns when that was: a timer may be a millisecond
// late, and a client that is not awake yet is not free to send.
func (r *run) awaitStart(number int, signal *startSignal) int64 {
	timer := time.AfterFunc(time.Duration(signal.longestWaitNS), func() {
		signal.give(r.now(), signal.longestWaitNS)
	})
	defer timer.Stop()
	select {
	case <-signal.given:
	case <-r.aborted.Done():
		return forever
	}
	dueNS := startNS(number, r.options.clients, signal.answeredNS, signal.serviceNS)
	if !r.sleepUntil(dueNS) {
		return forever
	}
	return r.now()
}
