package load

import (
	"net"

	"golang.org/x/sys/unix"

	"windtunnel/triton_bench/sample"
)

// rawTransport speaks HTTP/1.1 over connections of its own. The kernel tells which of them have
// something to say (epoll, edge-triggered: each connection is registered once); requests are written
// and answers read by the lane's thread, without a goroutine or a timer for any of them.
type rawTransport struct {
	*sleeper
	lane    *lane
	address unix.Sockaddr
	family  int
	wires   []*wire // by their position, which an event carries
	again   []*wire // that had more to read than fits the buffer
	spare   []*wire
	flight  flight
	buffer  [64 << 10]byte
	timeout int64
	wakeUp  wakeUp
	baggage []byte // ends the head of a request that asks to be traced; nil: nothing but endOfHead
}

const endOfHead = "\r\n"

// endOfTraced is what ends the head of a request that asks to be traced, if that differs from others'.
func endOfTraced(c *Config) []byte {
	if c.Baggage == "" {
		return nil
	}
	return []byte("baggage: " + c.Baggage + "\r\n" + endOfHead)
}

func newRawTransport(l *lane) *rawTransport {
	t := &rawTransport{sleeper: newSleeper(), lane: l, timeout: int64(l.run.config.Timeout),
		wakeUp: newWakeUp()}
	t.family, t.address = socketAddress(l.run.resolved)
	t.baggage = endOfTraced(&l.run.config)
	return t
}

// socketAddress is an address as the kernel wants it.
func socketAddress(resolved *net.TCPAddr) (family int, address unix.Sockaddr) {
	if ip := resolved.IP.To4(); ip != nil {
		return unix.AF_INET, &unix.SockaddrInet4{Port: resolved.Port, Addr: [4]byte(ip)}
	}
	six := &unix.SockaddrInet6{Port: resolved.Port, Addr: [16]byte(resolved.IP.To16())}
	if zone, err := net.InterfaceByName(resolved.Zone); err == nil {
		six.ZoneId = uint32(zone.Index)
	}
	return unix.AF_INET6, six
}

// begin sends a request over the sender's connection, or opens one first.
func (t *rawTransport) begin(s *sender) {
	w, _ := s.link.(*wire)
	if w == nil {
		w = &wire{transport: t, sender: s, fd: closedFD, position: int32(len(t.wires))}
		t.wires = append(t.wires, w)
		s.link = w
	}
	w.prepare()
	if w.usable() {
		w.write()
		return
	}
	w.hangUp()
	w.dial()
}

func (t *rawTransport) wait(untilNS int64) {
	now := t.lane.run.Now()
	left := t.wakeUp.sleep(min(untilNS, t.flight.firstNS()), now)
	if len(t.again) > 0 {
		left = 0
	}
	t.lane.asleep(now)
	events := t.sleep(left)
	if late := t.lane.awake() - now - left; left > 0 && len(events) == 0 {
		t.wakeUp.learn(late)
	}
	for i := range events {
		w := t.wires[events[i].Fd]
		if w.generation == events[i].Pad { // else of a connection that is gone
			w.event(events[i].Events)
		}
	}
	again := t.again
	t.again, t.spare = t.spare[:0], again
	for _, w := range again {
		w.more = false
		w.read(false)
	}
	t.expire()
}

// expire gives up the requests whose time is over.
func (t *rawTransport) expire() {
	now := t.lane.run.Now()
	for t.flight.firstNS() <= now {
		t.flight.oldest.fail(sample.TimeoutFailure, errTimeout)
	}
}

func (t *rawTransport) abort() {
	for t.flight.oldest != nil {
		t.flight.oldest.fail(sample.CensoredFailure, errStopped)
	}
}

func (t *rawTransport) close() {
	for _, w := range t.wires {
		w.hangUp()
	}
	t.sleeper.close()
}

// flight is the requests in flight, those first whose time is over first: as all have the same
// timeout, that is the order in which they came.
type flight struct{ oldest, newest *wire }

func (f *flight) firstNS() int64 {
	if f.oldest == nil {
		return Forever
	}
	return f.oldest.deadlineNS
}

func (f *flight) add(w *wire, deadlineNS int64) {
	w.deadlineNS, w.older, w.newer = deadlineNS, f.newest, nil
	if f.newest != nil {
		f.newest.newer = w
	} else {
		f.oldest = w
	}
	f.newest = w
}

func (f *flight) remove(w *wire) {
	if w.older != nil {
		w.older.newer = w.newer
	} else {
		f.oldest = w.newer
	}
	if w.newer != nil {
		w.newer.older = w.older
	} else {
		f.newest = w.older
	}
	w.older, w.newer = nil, nil
}
