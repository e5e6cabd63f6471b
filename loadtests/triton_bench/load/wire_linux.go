package load

import (
	"errors"
	"io"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"windtunnel/triton_bench/http1"
	"windtunnel/triton_bench/sample"
)

var errStopped = errors.New("the run ended before the answer")

// closedFD stands for a wire that is not connected.
const closedFD = -1

// A wireState says what a wire does.
type wireState uint8

const (
	idle wireState = iota
	connecting
	busy
)

// A wire is one kept-alive connection, opened again as often as needed.
type wire struct {
	transport  *rawTransport
	sender     *sender
	position   int32 // in the transport's list
	generation int32 // of the connection; events of older ones are stale
	fd         int
	state      wireState
	parser     http1.Parser
	head       []byte    // of the request on its way, with its own trace ids
	unsent     [2][]byte // what is still to be written of head and body
	vector     [2]unix.Iovec
	message    unix.Msghdr
	sendErr    error // the server stopped reading; its answer may be here all the same
	more       bool  // it waits among those that have more to read

	deadlineNS   int64
	older, newer *wire // in flight
}

// prepare makes the bytes of the sender's request.
func (w *wire) prepare() {
	p := w.sender.payload
	w.head = append(w.head[:0], p.Head...)
	var sampled bool
	w.sender.row.Trace, sampled = w.transport.lane.traces.stamp(w.head[p.TraceOffset:])
	if baggage := w.transport.baggage; sampled && len(baggage) > 0 {
		w.head = append(w.head[:len(w.head)-len(endOfHead)], baggage...)
	}
	w.unsent = [2][]byte{w.head, p.Body}
	w.sendErr = nil
	w.parser.Reset()
}

// usable looks whether a request can be sent on the connection that is there. It asks the kernel,
// because a server that closes an idle connection tells nobody: a request sent after that would fail
// through no fault of its own. What happens after this look is the server's failure and becomes a row.
func (w *wire) usable() bool {
	if w.fd == closedFD {
		return false
	}
	var one byte
	_, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(w.fd), uintptr(unsafe.Pointer(&one)), 1,
		unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	return errno == unix.EAGAIN
}

func (w *wire) dial() {
	t := w.transport
	t.lane.run.dials.Add(1)
	fd, err := t.takeFirst()
	if fd == closedFD && err == nil {
		fd, err = t.connect()
	}
	if fd != closedFD && err == nil {
		w.generation++
		err = unix.EpollCtl(t.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{
			Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: w.position, Pad: w.generation,
		})
	}
	w.fd, w.state = fd, connecting
	now := t.lane.run.Now()
	w.sender.row.TakenNS = now
	t.flight.add(w, now+t.timeout)
	if err != nil {
		w.fail(sample.ConnectFailure, err)
	}
}

// takeFirst is the connection that was made to see whether the service is there; closedFD when it
// is taken.
func (t *rawTransport) takeFirst() (fd int, err error) {
	conn := t.lane.run.first.Swap(nil)
	if conn == nil {
		return closedFD, nil
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return closedFD, err
	}
	fd = closedFD
	if controlErr := raw.Control(func(given uintptr) {
		fd, err = unix.FcntlInt(given, unix.F_DUPFD_CLOEXEC, 0)
	}); err == nil {
		err = controlErr
	}
	return fd, err
}

// connect opens a connection without waiting for it: the kernel tells when it is there.
func (t *rawTransport) connect() (fd int, err error) {
	fd, err = unix.Socket(t.family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return closedFD, err
	}
	if err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err == nil {
		err = unix.Connect(fd, t.address)
	}
	if err == unix.EINPROGRESS {
		err = nil
	}
	return fd, err
}

// event is called with what the kernel says of the connection.
func (w *wire) event(events uint32) {
	const ended = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	switch w.state {
	case idle:
		if events&(ended|unix.EPOLLIN) != 0 && !w.usable() {
			w.hangUp() // closed, or it said what nobody asked for
		}
	case connecting:
		code, err := unix.GetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && code != 0 {
			err = unix.Errno(code)
		}
		switch {
		case err != nil:
			w.fail(sample.ConnectFailure, err)
		case events&unix.EPOLLOUT != 0:
			w.transport.flight.remove(w)
			w.write()
		}
	case busy:
		if events&unix.EPOLLOUT != 0 && len(w.unsent[0])+len(w.unsent[1]) > 0 {
			w.flush()
		}
		if w.state == busy && events&(ended|unix.EPOLLIN) != 0 {
			w.read(events&ended != 0)
		}
	}
}

// write begins the request.
func (w *wire) write() {
	now := w.transport.lane.run.Now()
	if w.state == idle { // else the connection is new, and was opened for this request
		w.sender.row.TakenNS = now
	}
	w.state, w.sender.row.SentNS = busy, now
	w.transport.flight.add(w, now+w.transport.timeout)
	w.flush()
}

// flush writes as much as the kernel takes at once; its event tells when it takes more.
func (w *wire) flush() {
	for w.sendErr == nil && len(w.unsent[0])+len(w.unsent[1]) > 0 {
		n, errno := w.sendmsg()
		if errno == unix.EAGAIN {
			return
		}
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			// A server may refuse a body before it has read it and close: its answer is then here.
			w.sendErr = errno
			w.read(true)
			if w.state == busy { // nothing is there, and nothing can come of a request that was cut off
				w.broken(sample.ResetFailure, errno)
			}
			return
		}
		w.sender.row.BytesOut += int64(n)
		head := min(n, len(w.unsent[0]))
		w.unsent[0], w.unsent[1] = w.unsent[0][head:], w.unsent[1][n-head:]
	}
}

// sendmsg hands head and body to the kernel in one call. The vector is kept in the wire, so that
// sending allocates nothing.
func (w *wire) sendmsg() (n int, errno syscall.Errno) {
	parts := w.vector[:0]
	for _, part := range w.unsent {
		if len(part) > 0 {
			parts = append(parts, unix.Iovec{Base: &part[0], Len: uint64(len(part))})
		}
	}
	w.message.Iov, w.message.Iovlen = &parts[0], uint64(len(parts))
	sent, _, errno := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(w.fd), uintptr(unsafe.Pointer(&w.message)),
		unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
	return int(sent), errno
}

// read takes what has come. toEnd reads on until nothing is left, because the connection has ended
// and no further event will come.
func (w *wire) read(toEnd bool) {
	for w.state == busy {
		t := w.transport
		read, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(w.fd),
			uintptr(unsafe.Pointer(&t.buffer[0])), uintptr(len(t.buffer)), unix.MSG_DONTWAIT, 0, 0)
		n := int(read)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			return
		case errno != 0:
			w.broken(sample.ResetFailure, errno)
			return
		case n == 0:
			w.closed()
			return
		}
		w.take(t.buffer[:n])
		if n < len(t.buffer) && !toEnd {
			return
		}
		if w.state == busy && !toEnd { // others first: a server that never ends must not stall the lane
			if !w.more { // once: a server that sends fast must not get turn after turn
				w.more, t.again = true, append(t.again, w)
			}
			return
		}
	}
}

// take gives bytes to the parser and ends the request when its answer is complete.
func (w *wire) take(b []byte) {
	now, row := w.transport.lane.run.Now(), &w.sender.row
	if row.FirstByteNS == sample.None {
		row.FirstByteNS = now
	}
	row.BytesIn += int64(len(b))
	used, done, err := w.parser.Feed(b)
	if err == nil && done && used < len(b) && !w.parser.Closes {
		err = http1.Error("bytes after the end of the answer")
	}
	switch {
	case err != nil:
		w.fail(sample.ProtocolFailure, err)
	case done:
		w.end(now, sample.NoFailure, nil)
	}
}

// closed is called when the server has ended the connection.
func (w *wire) closed() {
	if err := w.parser.Closed(); err != nil {
		w.broken(sample.ClosedFailure, io.ErrUnexpectedEOF)
		return
	}
	w.end(w.transport.lane.run.Now(), sample.NoFailure, nil)
}

// broken names the failure to write when there was one: it came first.
func (w *wire) broken(f sample.Failure, err error) {
	if w.sendErr != nil {
		f, err = sample.ResetFailure, w.sendErr
		if w.sendErr == unix.EPIPE {
			f = sample.ClosedFailure
		}
	}
	w.fail(f, err)
}

// fail ends the request without a complete answer and gives up the connection.
func (w *wire) fail(f sample.Failure, err error) {
	now := w.transport.lane.run.Now()
	if w.state == connecting {
		w.sender.row.SentNS = now // it never was
	}
	w.end(now, f, err)
}

func (w *wire) end(doneNS int64, f sample.Failure, err error) {
	w.transport.flight.remove(w)
	w.sender.row.Status, w.sender.row.StagesUS = w.parser.Status, w.parser.StagesUS
	w.state = idle
	if f != sample.NoFailure || w.sendErr != nil || w.parser.Closes || len(w.unsent[0])+len(w.unsent[1]) > 0 {
		w.hangUp()
	}
	w.transport.lane.ended(w.sender, doneNS, f, err)
}

func (w *wire) hangUp() {
	if w.fd != closedFD {
		unix.Close(w.fd)
		w.fd = closedFD
		w.generation++
	}
}
