package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// A wire is one kept-alive connection with one request on the way at a time.
type wire struct {
	conn   *net.TCPConn
	raw    syscall.RawConn
	in     *reader
	parts  [2][]byte // what is being sent, kept here so that sending allocates nothing
	vector net.Buffers
	peek   func(fd uintptr)
	idle   idleState
}

// idleState is what a peek at a connection between two requests found.
type idleState uint8

const (
	idleQuiet  idleState = iota // nothing came: good to use
	idleClosed                  // the server closed it
	idleSpoke                   // bytes that nobody asked for: they would be taken for the next answer
)

func dialWire(ctx context.Context, address string, timeout time.Duration, clock func() int64) (*wire, error) {
	dialer := net.Dialer{Timeout: timeout, KeepAlive: -1}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	w := &wire{conn: conn.(*net.TCPConn), in: newReader(conn, clock)}
	if w.raw, err = w.conn.SyscallConn(); err != nil {
		conn.Close()
		return nil, err
	}
	w.peek = func(fd uintptr) { w.idle = peekIdle(fd) }
	return w, nil
}

// usable looks whether a request can still be sent here. It asks the kernel, because a server that
// closes an idle connection tells nobody: a request sent after that would fail through no fault of
// its own. What happens after this look is the server's failure and becomes a row.
func (w *wire) usable() bool {
	w.idle = idleQuiet
	return w.raw.Control(w.peek) == nil && w.idle == idleQuiet
}

// send writes head and body with one system call where the kernel takes them at once.
func (w *wire) send(head, body []byte) (int64, error) {
	w.parts = [2][]byte{head, body}
	w.vector = w.parts[:]
	return w.vector.WriteTo(w.conn)
}

// failureOf names what went wrong on a connection.
func failureOf(err error) failure {
	var protocol protocolError
	switch {
	case errors.As(err, &protocol):
		return protocolFailure
	case errors.Is(err, os.ErrDeadlineExceeded):
		return timeoutFailure
	case errors.Is(err, io.EOF), errors.Is(err, syscall.EPIPE):
		return closedFailure
	default:
		return resetFailure
	}
}

// dialFailureOf tells a server that is not there from one that is too busy to answer in time.
func dialFailureOf(err error) failure {
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		return timeoutFailure
	}
	return connectFailure
}
