package load

import (
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"windtunnel/triton_bench/arrivals"
	"windtunnel/triton_bench/sample"
)

func TestThousandsOfShortConnectionsLoseNoRequest(t *testing.T) {
	t.Parallel()
	for _, announced := range []bool{true, false} {
		var answers atomic.Int64
		c := posting(serving(t, func(conn net.Conn, n int64) bool {
			answers.Add(1)
			if n%3 > 0 {
				return answered(conn, n)
			}
			if announced {
				io.WriteString(conn, strings.Replace(fine, "\r\n", "\r\nConnection: close\r\n", 1))
			} else {
				io.WriteString(conn, fine)
			}
			return false
		})).until(3000)
		c.Clients, c.Threads = 16, 2
		r := New(c)
		found := outcomes(done(t, r))
		// A close that was not announced may meet a request that was just sent: that is the server's failure.
		if found.OK+found.TransportError != 3000 || announced && found.OK != 3000 || found.OK < 1500 || r.Dials() < 500 {
			t.Errorf("announced %v: %+v over %d connections; %s", announced, found, r.Dials(), r.FirstFailure(sample.ResetFailure))
		}
		if answers.Load() > 3000 || answers.Load() < found.OK {
			t.Errorf("announced %v: the server saw %d requests", announced, answers.Load())
		}
	}
}

// endlessly sends a body without end until nobody reads it.
func endlessly(conn net.Conn) {
	io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
	for part := make([]byte, 1<<20); ; {
		if _, err := conn.Write(part); err != nil {
			return
		}
	}
}

func TestAnAnswerWithoutEndDoesNotHoldUpOthersOfItsLane(t *testing.T) {
	t.Parallel()
	c := posting(serving(t, func(conn net.Conn, n int64) bool {
		if n == 2 || n == 20 {
			endlessly(conn)
			return false
		}
		return answered(conn, n)
	}))
	c.Duration, c.Timeout = time.Second, 1500*time.Millisecond
	r := New(c.arriving(t, 100, arrivals.Constant))
	var service []int64
	rows := done(t, r)
	for _, row := range rows {
		if row.Failure == sample.NoFailure {
			service = append(service, row.DoneNS-row.SentNS)
		}
	}
	slices.Sort(service)
	if got := outcomes(rows); got.OK != 98 || got.Timeout != 2 {
		t.Fatalf("%+v", got)
	}
	// Reading one of them to its end would take the whole timeout.
	if middle := service[len(service)/2]; middle > int64(100*time.Millisecond) {
		t.Errorf("the median of the others is %d ns", middle)
	}
}

func TestAConnectionHasOneTurnAtATimeHoweverMuchItHasToRead(t *testing.T) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[1])
	if err := unix.SetsockoptInt(ends[1], unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<20); err != nil {
		t.Fatal(err)
	}
	r, s, transport := prepared(t)
	w := &wire{transport: transport, sender: s, fd: ends[0], state: busy}
	transport.flight.add(w, Forever)
	w.parser.Reset()
	if n, err := unix.Write(ends[1], append([]byte("HTTP/1.1 200 OK\r\n\r\n"), make([]byte, 400<<10)...)); n < 3*len(transport.buffer) {
		t.Fatalf("the system took %d bytes: %v", n, err)
	}
	w.event(unix.EPOLLIN)
	w.event(unix.EPOLLIN)
	if len(transport.again) != 1 || !w.more {
		t.Errorf("it has %d turns", len(transport.again))
	}
	w.fail(sample.TimeoutFailure, errTimeout)
	r.Interrupt()
	r.Do(func([]sample.Row) error { return nil })
}

// prepared is a run that was begun, before Do, and the one sender of its lane.
func prepared(t *testing.T) (r *Run, s *sender, transport *rawTransport) {
	t.Helper()
	r = New(posting(serving(t, answered)).until(1))
	if err := r.Reach(); err != nil {
		t.Fatal(err)
	}
	r.Begin()
	l := r.lanes[0]
	return r, l.load.(*closedLoop).clients[0], l.transport.(*rawTransport)
}

func TestAServerThatReadsNothingIsGivenUpInTime(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	defer close(hold)
	c := posting(accepting(t, func(net.Conn) { <-hold }), strings.Repeat("x", 16<<20)).until(4)
	c.Clients, c.Timeout = 2, 200*time.Millisecond
	started := time.Now()
	for _, row := range done(t, New(c)) {
		if row.Failure != sample.TimeoutFailure || row.DoneNS-row.SentNS < int64(c.Timeout) || row.BytesOut == 0 || row.BytesOut >= 16<<20 {
			t.Errorf("%s after %d ns and %d bytes", row.Failure, row.DoneNS-row.SentNS, row.BytesOut)
		}
	}
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestAServiceThatComesBackIsMeasuredAgain(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	answerOne := func(listener net.Listener) {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		conn.Read(make([]byte, 4096))
		io.WriteString(conn, fine)
		conn.Close()
	}
	away := make(chan struct{})
	go func() {
		answerOne(listener)
		listener.Close()
		close(away)
		time.Sleep(150 * time.Millisecond)
		back, err := net.Listen("tcp", address)
		if err != nil {
			return // the system gave the port to somebody else: nothing comes back
		}
		defer back.Close()
		for range 3 {
			answerOne(back)
		}
	}()
	c := posting(address)
	c.Duration = 2 * time.Second
	rows := done(t, New(c))
	<-away
	refused, afterwards := 0, 0
	for _, row := range rows {
		switch {
		case row.Failure == sample.ConnectFailure:
			refused++
		case row.Failure == sample.NoFailure && refused > 0:
			afterwards++
		}
	}
	if refused == 0 || refused > 50 || afterwards == 0 {
		t.Errorf("%d connections were refused, %d requests answered afterwards", refused, afterwards)
	}
}

// A datagram socket without a peer takes nothing and has nothing to read: so does a system that is out
// of memory for a connection that stands.
func TestARequestThatCannotBeWrittenEndsAtOnce(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	r, s, transport := prepared(t)
	w := &wire{transport: transport, sender: s, fd: fd}
	transport.wires, s.link = []*wire{w}, w
	rows := collected(t, r)
	if len(rows) != 1 || rows[0].Failure != sample.ResetFailure || rows[0].DoneNS-rows[0].SentNS > int64(time.Second) {
		t.Errorf("%+v", rows)
	}
	if text := r.FirstFailure(sample.ResetFailure); text != unix.EDESTADDRREQ.Error() {
		t.Errorf("it failed for another reason: %s", text)
	}
}
