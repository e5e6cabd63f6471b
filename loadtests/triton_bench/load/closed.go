package load

import (
	"math/rand/v2"
	"sync"
	"time"

	"windtunnel/triton_bench/sample"
)

// A client that cannot connect waits before it tries again: without a pause it would write down
// nothing but its own speed.
const (
	firstPauseNS = int64(10 * time.Millisecond)
	lastPauseNS  = int64(time.Second)
)

// A spread tells all lanes how long the first request took: the clients start spread evenly over
// that time, because clients that start together stay together for a long while.
type spread struct {
	sync.Mutex
	given                 bool
	answeredNS, serviceNS int64
}

// A closedLoop sends with a number of clients, each when its last request has ended.
type closedLoop struct {
	lane    *lane
	clients []*sender // this lane's
	timers  timers    // clients that wait for a time
	started bool
	// How long the first request took, at most giveUp: the clients of each step begin spread over it.
	serviceNS int64
	giveUp    int64 // after this time the clients start without knowing how long a request takes
}

func newClosedLoop(l *lane) *closedLoop {
	c := &l.run.config
	s := &closedLoop{lane: l, giveUp: int64(min(time.Second, (c.Warmup+c.Duration)/4))}
	if c.Endless {
		s.giveUp = int64(time.Second)
	}
	for number := l.number; number < c.Clients; number += c.Threads {
		order := number
		if c.OneOrder {
			order = 0
		}
		s.clients = append(s.clients, &sender{
			number: int32(number), order: imageOrder(c.Seed, order, len(c.Payloads)), pauseNS: firstPauseNS,
		})
	}
	if l.number == 0 {
		s.timers.add(0, s.clients[0])
	}
	return s
}

// imageOrder is the permutation in which a client goes through the images, again and again. The
// same seed and client give the same order, so that variants of one block get the same requests.
func imageOrder(seed uint64, client, images int) []int {
	return rand.New(rand.NewPCG(seed, uint64(client))).Perm(images)
}

func (c *closedLoop) send(nowNS int64) (nextNS int64) {
	if !c.started {
		c.start(nowNS)
	}
	for {
		atNS, s := c.timers.first()
		if s == nil {
			break
		}
		if atNS > nowNS {
			return min(atNS, c.waitForStartNS())
		}
		c.timers.removeFirst()
		c.request(s, atNS)
	}
	return c.waitForStartNS()
}

func (c *closedLoop) waitForStartNS() int64 {
	if c.started {
		return Forever
	}
	return c.giveUp
}

// start gives the other clients their turn once the first request has shown how long one takes.
func (c *closedLoop) start(nowNS int64) {
	r := c.lane.run
	if nowNS >= c.giveUp {
		r.spreadClients(nowNS, c.giveUp)
	}
	r.spread.Lock()
	defer r.spread.Unlock()
	if c.started = r.spread.given; !c.started {
		return
	}
	c.serviceNS = min(r.spread.serviceNS, c.giveUp)
	for _, s := range c.clients {
		if s.number > 0 {
			c.wait(s, r.spread.answeredNS+c.turnNS(s))
		}
	}
}

func (r *Run) spreadClients(answeredNS, serviceNS int64) {
	r.spread.Lock()
	first := !r.spread.given
	if first {
		r.spread.given, r.spread.answeredNS, r.spread.serviceNS = true, answeredNS, serviceNS
	}
	r.spread.Unlock()
	if first {
		r.wakeAll()
	}
}

// turnNS is how long after the first client this one begins.
func (c *closedLoop) turnNS(s *sender) int64 {
	return c.serviceNS * int64(s.number) / int64(c.lane.run.config.Clients)
}

// wait lets a client send at a time, or in its turn when the next step begins that has room for it.
func (c *closedLoop) wait(s *sender, atNS int64) {
	switch at := c.lane.run.activeNS(int(s.number), atNS); at {
	case Forever:
	case atNS:
		c.timers.add(at, s)
	default:
		c.timers.add(at+c.turnNS(s), s)
	}
}

// activeNS is the first time, from the given one on, at which a client is one of those that send.
// Until the steps begin it is those of the first step; without steps it is all of them.
func (r *Run) activeNS(client int, ns int64) int64 {
	steps := r.config.Steps
	if len(steps) == 0 || (ns < steps[0].StartNS && client < steps[0].Clients) {
		return ns
	}
	for _, step := range steps {
		if ns < step.EndNS && client < step.Clients {
			return max(ns, step.StartNS)
		}
	}
	return Forever
}

func (c *closedLoop) request(s *sender, dueNS int64) {
	if !c.lane.run.claim(dueNS) {
		return
	}
	c.lane.begin(s, dueNS, c.image(s, dueNS), false)
}

// image is the next that a client sends. With one order for all the measured time begins it anew:
// lanes may pass from warm-up to it in any order, and must not take a turn from each other.
func (c *closedLoop) image(s *sender, dueNS int64) int32 {
	if r := c.lane.run; r.config.OneOrder {
		turns := &r.turns[0]
		if dueNS >= r.MeasureStartNS() {
			turns = &r.turns[1]
		}
		return int32(s.order[(turns.Add(1)-1)%int64(len(s.order))])
	}
	image := s.order[s.position]
	if s.position++; s.position == len(s.order) {
		s.position = 0
	}
	return int32(image)
}

// ended sends the client's next request at once. From its last answer on it is free; what the
// instrument does meanwhile counts as send lag.
func (c *closedLoop) ended(s *sender) {
	done := s.row.DoneNS
	if !c.started && s.number == 0 {
		c.lane.run.spreadClients(done, done-s.row.SentNS)
	}
	if s.row.Failure == sample.ConnectFailure {
		c.wait(s, done+s.pauseNS)
		s.pauseNS = min(2*s.pauseNS, lastPauseNS)
		return
	}
	s.pauseNS = firstPauseNS
	if len(c.lane.run.config.Steps) > 0 && c.lane.run.activeNS(int(s.number), done) != done {
		c.wait(s, done)
		return
	}
	c.request(s, done)
}

func (c *closedLoop) over() bool {
	at, s := c.timers.first()
	return c.started && (s == nil || at >= c.lane.run.measureEndNS.Load())
}

func (c *closedLoop) censor() {}
