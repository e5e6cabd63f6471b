package main

import (
	"sync"
	"time"
)

// A chunk carries rows from a sender to the collector.
type chunk struct {
	rows [64]row
	used int
}

var chunks = sync.Pool{New: func() any { return new(chunk) }}

// handOverNS is how long a row may wait in a sender's chunk, so that the live line is up to date.
const handOverNS = int64(200 * time.Millisecond)

// A chunkWriter collects one sender's rows without a lock.
type chunkWriter struct {
	to       *collector
	chunk    *chunk
	handedNS int64
}

// next returns the row to fill in; it stays the sender's until done.
func (w *chunkWriter) next() *row {
	if w.chunk == nil {
		w.chunk = chunks.Get().(*chunk)
		w.chunk.used = 0
	}
	return &w.chunk.rows[w.chunk.used]
}

func (w *chunkWriter) done(nowNS int64) {
	w.chunk.used++
	if w.chunk.used == len(w.chunk.rows) || nowNS-w.handedNS > handOverNS {
		w.flush()
		w.handedNS = nowNS
	}
}

func (w *chunkWriter) flush() {
	if w.chunk != nil && w.chunk.used > 0 {
		w.to.chunks <- w.chunk
		w.chunk = nil
	}
}

// A collector takes rows off the senders' hands: it counts them, keeps the times that the summary
// needs, and writes the sample file. It is one goroutine; others read it through snapshot.
type collector struct {
	chunks chan *chunk
	ended  chan struct{}
	run    *run
	file   *sampleFile // nil without --samples
	err    error       // why the sample file is not complete

	mutex sync.Mutex
	tally tally
}

// A tally is everything that the collector counted.
type tally struct {
	all, measured          accounting
	errors                 map[string]int64
	warmupResponse         *distribution
	response, service, lag *distribution // of the measure phase
	okInWindow             int64         // throughput: ok answers that ended in the measured time
	sentInWindow           int64
	okDone                 int64 // ok answers since t0, for the live rate
	lastDoneNS             int64
}

func newCollector(r *run, file *sampleFile) *collector {
	c := &collector{
		// Room for 4096 chunks of 64 rows: a disk that stalls for seconds does not stall a sender.
		chunks: make(chan *chunk, 4096),
		ended:  make(chan struct{}),
		run:    r,
		file:   file,
	}
	c.tally.errors = map[string]int64{}
	c.tally.warmupResponse = newDistribution()
	c.tally.response, c.tally.service, c.tally.lag = newDistribution(), newDistribution(), newDistribution()
	return c
}

func (c *collector) work() {
	defer close(c.ended)
	for next := range c.chunks {
		c.mutex.Lock()
		for i := range next.rows[:next.used] {
			c.tally.count(c.run, &next.rows[i])
		}
		c.mutex.Unlock()
		if c.file != nil && c.err == nil {
			if c.err = c.file.write(next.rows[:next.used]); c.err != nil {
				c.run.stop() // a measurement that cannot be written down is not worth going on with
			}
		}
		chunks.Put(next)
	}
}

// finish waits until all rows are counted and written. Senders must have flushed.
func (c *collector) finish() {
	close(c.chunks)
	<-c.ended
}

func (r *run) measured(w *row) bool {
	return w.dueNS >= r.measureStartNS && w.dueNS < r.measureEndNS.Load()
}

func (r *run) inWindow(ns int64) bool {
	return ns >= r.measureStartNS && ns < r.measureEndNS.Load()
}

func (t *tally) count(r *run, w *row) {
	o := w.outcome()
	t.all.add(o)
	t.lastDoneNS = max(t.lastDoneNS, w.doneNS)
	if o == okOutcome {
		t.okDone++
		if r.inWindow(w.doneNS) {
			t.okInWindow++
		}
	}
	if w.bytesOut > 0 && r.inWindow(w.sentNS) {
		t.sentInWindow++
	}
	if !r.measured(w) {
		t.observe(r, w, o, t.warmupResponse, nil)
		return
	}
	t.measured.Issued++
	t.measured.add(o)
	if name := errorName(w, o); name != "" {
		t.errors[name]++
	}
	t.lag.add(w.sentNS-w.dueNS, false)
	t.observe(r, w, o, t.response, t.service)
}

// observe adds a request's times. Only an answer that was asked for has a latency; a request given
// up has one of at least the time until then. Those cut short by the user say nothing and are left out.
func (t *tally) observe(r *run, w *row, o outcome, response, service *distribution) {
	givenUp := o == timeoutOutcome || o == censoredOutcome
	if o != okOutcome && !givenUp || o == censoredOutcome && r.interrupted.Load() {
		return
	}
	response.add(w.doneNS-w.dueNS, givenUp)
	if service != nil && w.bytesOut > 0 {
		service.add(w.doneNS-w.sentNS, givenUp)
	}
}
