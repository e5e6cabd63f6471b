package load

import (
	"sync"
	"time"

	"windtunnel/triton_bench/sample"
)

// A chunk carries rows from a lane to the collector.
type chunk struct {
	rows [64]sample.Row
	used int
}

var chunks = sync.Pool{New: func() any { return new(chunk) }}

const (
	// backlog is how many chunks may wait: a disk that stalls for seconds does not stall a lane.
	backlog = 4096
	// handOverNS is how long a row may wait in a lane, so that the live line is up to date.
	handOverNS = int64(200 * time.Millisecond)
)

// A rowWriter collects one lane's rows without a lock.
type rowWriter struct {
	to      chan<- *chunk
	chunk   *chunk
	sinceNS int64 // when the first of them came
}

func (w *rowWriter) add(row *sample.Row) {
	if w.chunk == nil {
		w.chunk = chunks.Get().(*chunk)
		w.chunk.used = 0
		w.sinceNS = row.DoneNS
	}
	w.chunk.rows[w.chunk.used] = *row
	if w.chunk.used++; w.chunk.used == len(w.chunk.rows) {
		w.flush()
	}
}

// flushNS is when the rows must be handed over.
func (w *rowWriter) flushNS() int64 {
	if w.chunk == nil {
		return Forever
	}
	return w.sinceNS + handOverNS
}

func (w *rowWriter) flush() {
	if w.chunk != nil {
		w.to <- w.chunk
		w.chunk = nil
	}
}

// collect hands the rows of all lanes on. A measurement that cannot be written down is not worth
// going on with; what still comes is taken all the same, so that no lane waits.
func (r *Run) collect(rows func([]sample.Row) error) (err error) {
	lowerPriority()
	for next := range r.rows {
		if err == nil {
			if err = rows(next.rows[:next.used]); err != nil {
				r.Stop()
			}
		}
		chunks.Put(next)
	}
	return err
}
