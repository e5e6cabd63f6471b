package load

import (
	"errors"
	"fmt"
	"math"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"windtunnel/triton_bench/sample"
)

// Forever is later than any run ends.
const Forever = math.MaxInt64

// Patience is how many times its duration a run may take to reach MinRequests.
const Patience = 4

// A Run is one load under way: what all lanes share. Everything but the atomics is fixed before t0;
// exported methods may be called from any goroutine.
type Run struct {
	config   Config
	resolved *net.TCPAddr                // the address that Reach found
	first    atomic.Pointer[net.TCPConn] // the connection that Reach made, for the first request

	t0           time.Time
	startUnixNS  int64
	plannedEndNS int64        // by Duration; Forever when Requests alone ends the run
	measureEndNS atomic.Int64 // as planned, or later while MinRequests are not there

	issued   atomic.Int64 // requests, warm-up included
	claimed  atomic.Int64 // measured requests, counted for Requests and MinRequests
	queued   atomic.Int64 // arrivals that found no free connection
	inFlight atomic.Int64
	turns    [2]atomic.Int64 // of the next image, with OneOrder: of the warm-up, of the measured time
	dials    atomic.Int64

	interrupted atomic.Bool
	stopping    atomic.Bool  // no more requests, those in flight are censored
	stopNS      atomic.Int64 // when that was

	open     sync.RWMutex // held while the lanes are taken down
	over     bool
	lanes    []*lane
	rows     chan *chunk
	spread   spread
	gauge    gauge
	failures [sample.FailureCount]atomic.Pointer[string] // the first of each kind, in words
}

// New prepares a run.
func New(config Config) *Run {
	r := &Run{config: config, rows: make(chan *chunk, backlog)}
	r.plannedEndNS = int64(config.Warmup + config.Duration)
	if config.Endless {
		r.plannedEndNS = Forever
	}
	r.measureEndNS.Store(r.firstEndNS())
	return r
}

// firstEndNS is the end of the measured time as far as it is known before the first request. An open
// loop knows when it will have sent how many; a closed loop sees when MinRequests are there.
func (r *Run) firstEndNS() int64 {
	c := &r.config
	latest := r.MeasureStartNS() + Patience*int64(c.Duration)
	switch {
	case c.MinRequests > 0 && c.Open():
		return min(latest, max(r.plannedEndNS, r.sentNS(c.MinRequests)))
	case c.MinRequests > 0:
		return latest
	case c.Requests > 0 && c.Open():
		return min(r.plannedEndNS, r.sentNS(c.Requests))
	}
	return r.plannedEndNS
}

// sentNS is when an open loop will have sent that many measured requests: when the next is due, but
// after the last of them where several are due at once.
func (r *Run) sentNS(requests int64) int64 {
	plan, start := r.config.Plan, r.MeasureStartNS()
	next, ok := plan.NthNS(start, requests+1)
	if !ok {
		return plan.EndNS()
	}
	last, _ := plan.NthNS(start, requests)
	return max(next, last+1)
}

// Reach connects once, so that an unreachable service is one line and not a file of failures. The
// connection is used by the first request: the service sees nothing that is not measured. Later
// connections go to the address found here, without asking for the name again.
func (r *Run) Reach() error {
	target := r.config.Target
	conn, err := net.DialTimeout("tcp", target.Dial, min(r.config.Timeout, 10*time.Second))
	if err != nil {
		var wrapped *net.OpError
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return fmt.Errorf("%s: cannot connect to %s: %w; expected a running service; start it or correct --url",
			target.URL, target.Dial, err)
	}
	r.resolved = conn.RemoteAddr().(*net.TCPAddr)
	r.first.Store(conn.(*net.TCPConn))
	return nil
}

// headStart is how long after Begin t0 is: the first request is due when everything stands ready.
const headStart = 5 * time.Millisecond

// Begin sets t0, a moment ahead, after Reach. From then on the run may be watched and stopped; Do must follow.
func (r *Run) Begin() {
	r.prepareLanes()
	runtime.GC() // what was made ready is not collected while it is measured
	r.t0 = time.Now().Add(headStart)
	r.startUnixNS = r.t0.UnixNano()
	r.gauge.start()
}

// Do runs the load to its end. rows gets every request as it ends, from one goroutine; the rows are
// its only until it returns. An error of it stops the run.
func (r *Run) Do(rows func([]sample.Row) error) error {
	failed := make(chan error, 1)
	go func() { failed <- r.collect(rows) }()
	r.runLanes()
	close(r.rows)
	err := <-failed
	r.gauge.stop(r)
	r.Leave()
	return err
}

// Leave gives up the connection of Reach, if nothing used it.
func (r *Run) Leave() {
	if conn := r.first.Swap(nil); conn != nil {
		conn.Close()
	}
}

// Interrupt ends the run now, on behalf of the user: nothing more is sent, and requests in flight
// become censored rows.
func (r *Run) Interrupt() {
	r.interrupted.Store(true)
	r.Stop()
}

// Stop ends the run now, because nothing more is to be learnt from it.
func (r *Run) Stop() {
	r.stopNS.CompareAndSwap(0, max(r.Now(), 1))
	r.open.RLock() // a lane that has ended can no longer be woken
	defer r.open.RUnlock()
	if !r.stopping.Swap(true) && !r.over {
		r.wakeAll()
	}
}

// claim tells whether one more request may be sent that is due at the given time.
func (r *Run) claim(dueNS int64) bool {
	if dueNS >= r.measureEndNS.Load() || r.stopping.Load() {
		return false
	}
	limit, least := r.config.Requests, r.config.MinRequests
	if dueNS < r.MeasureStartNS() || (limit == 0 && least == 0) {
		return true
	}
	number := r.claimed.Add(1)
	if number == least && !r.config.Open() {
		r.endSoon()
	}
	return limit == 0 || number <= limit
}

// endSoon ends the measured time as planned or, once that has passed, at the next tick of a coarse
// clock: an end at the very answer that completed the number would count one answer too many.
func (r *Run) endSoon() {
	const tickNS = int64(100 * time.Millisecond)
	end := r.plannedEndNS
	if late := r.Now() - end; late > 0 {
		end += (late/tickNS + 1) * tickNS
	}
	r.measureEndNS.Store(min(end, r.measureEndNS.Load()))
}

// noteFailure keeps the first failure of a kind: the summary quotes it, the rows hold only the kind.
func (r *Run) noteFailure(f sample.Failure, err error) {
	if r.failures[f].Load() == nil {
		text := err.Error()
		r.failures[f].CompareAndSwap(nil, &text)
	}
}
