package load

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"windtunnel/triton_bench/sample"
)

var errTimeout = errors.New("no complete answer within --timeout")

// A lane is one thread that sends requests when they are due and takes their answers. Everything in
// it is touched by this thread only, except what is atomic.
type lane struct {
	run       *Run
	number    int
	load      source
	transport transport
	traces    traceIDs
	rows      rowWriter
	inFlight  int
	busyNS    atomic.Int64 // time that this thread did not sleep
	awakeNS   int64        // when it last stopped sleeping
}

// A source decides when requests are sent: closed or open loop.
type source interface {
	// send begins the requests that are due and returns when it wants to be asked again.
	send(nowNS int64) (nextNS int64)
	// ended hears of each request that ended; its sender is free.
	ended(s *sender)
	// over tells that nothing more will be sent.
	over() bool
	// censor writes the rows of arrivals that were due and never sent.
	censor()
}

// A transport carries the requests of one lane.
type transport interface {
	// begin sends s's request; lane.ended(s) follows on the lane's thread, at once or out of wait.
	begin(s *sender)
	// wait handles what happens until a time, or until something has happened.
	wait(untilNS int64)
	// wake ends a wait; it may be called from any thread.
	wake()
	// abort ends all requests in flight.
	abort()
	// close gives back what the transport holds, after the last request.
	close()
}

// A sender owns one connection and has one request at a time on it.
type sender struct {
	number   int32
	row      sample.Row
	payload  *Payload
	link     link // the transport's
	position int  // of the next image in order
	order    []int
	pauseNS  int64
	freedNS  int64 // open loop: when it became free while arrivals were waiting; 0 if none was
}

func (r *Run) prepareLanes() {
	for number := range r.config.Threads {
		l := &lane{run: r, number: number, traces: newTraceIDs(r.config.TraceRatio), rows: rowWriter{to: r.rows}}
		l.transport = newTransport(l)
		if r.config.Open() {
			l.load = newOpenLoop(l)
		} else {
			l.load = newClosedLoop(l)
		}
		r.lanes = append(r.lanes, l)
	}
}

var processors sync.Mutex

// moreProcessors gives the runtime some more, or takes them back. A lane keeps one while it sleeps, so
// each brings its own: all else has as many as without it, however many runs there are at a time.
func moreProcessors(n int) {
	processors.Lock()
	defer processors.Unlock()
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + n)
}

func (r *Run) runLanes() {
	moreProcessors(len(r.lanes))
	defer moreProcessors(-len(r.lanes))
	ended := make(chan struct{})
	for _, l := range r.lanes {
		go func() { l.work(); ended <- struct{}{} }()
	}
	for range r.lanes {
		<-ended
	}
	r.open.Lock()
	defer r.open.Unlock()
	r.over = true
	for _, l := range r.lanes {
		l.transport.close()
	}
}

func (r *Run) wakeAll() {
	for _, l := range r.lanes {
		l.transport.wake()
	}
}

func (l *lane) work() {
	preciseThread()
	l.awake()
	for {
		now := l.run.Now()
		next := l.load.send(now)
		if l.run.stopping.Load() {
			l.transport.abort()
			l.load.censor()
			break
		}
		if l.load.over() && l.inFlight == 0 {
			break
		}
		if now >= l.rows.flushNS() {
			l.rows.flush()
		}
		l.transport.wait(min(next, l.rows.flushNS()))
	}
	l.rows.flush()
}

// begin sends one image, due at the given time. waited tells that no connection was free then.
func (l *lane) begin(s *sender, dueNS int64, image int32, waited bool) {
	l.run.issued.Add(1)
	l.run.inFlight.Add(1)
	l.inFlight++
	s.payload = &l.run.config.Payloads[image]
	s.row = sample.Row{
		DueNS: dueNS, FirstByteNS: sample.None, Client: s.number, Image: image, StagesUS: sample.NoStages,
		Waited: waited,
	}
	l.transport.begin(s)
}

// ended writes the row of a request, whatever became of it, and frees its sender. A request is never
// sent twice: a retry would hide a service that drops connections.
func (l *lane) ended(s *sender, doneNS int64, failure sample.Failure, err error) {
	s.row.DoneNS = doneNS
	if failure != sample.NoFailure {
		if l.run.stopping.Load() {
			failure = sample.CensoredFailure
		}
		s.row.Failure = failure
		l.run.noteFailure(failure, err)
	}
	l.inFlight--
	l.run.inFlight.Add(-1)
	l.rows.add(&s.row)
	l.load.ended(s)
}

// asleep and awake stand around every wait, so that the lane knows how busy it was.
func (l *lane) asleep(nowNS int64) { l.busyNS.Add(nowNS - l.awakeNS) }

func (l *lane) awake() (nowNS int64) {
	l.awakeNS = l.run.Now()
	return l.awakeNS
}
