package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// A head fits; of a larger body only what came along with it is copied, the rest is thrown away unread.
	nullBuffer = 4 << 10
	nullEvents = 256
	// Where the kernel puts the time at which the newest of the bytes arrived.
	stampSpace = unix.SizeofCmsghdr + int(unsafe.Sizeof(unix.Timespec{}))
)

var errHead = errors.New("the head of a request is longer than the null server reads")

// nullServer answers every request at once, in one thread that costs less than any client's: what is
// measured against it is the client. With a log it writes down when the kernel received each request,
// in the context of whoever sent it, so that its own waking up is not in those times.
type nullServer struct {
	epoll, listener int
	wires           map[int32]*nullWire
	answer          []byte
	log             *arrivalLog // nil: no times are taken
	stub            *behaviour
	buffer          [nullBuffer]byte
	control         [stampSpace]byte
	message         unix.Msghdr
	vector          unix.Iovec
}

// nullWire is a connection: what it holds of a head that is not complete, and what is left of a body.
type nullWire struct {
	fd    int
	held  []byte
	left  int64
	began int64 // when the first bytes of the request arrived
	stats bool  // it asks for /stats
}

// serveNull serves until it fails; it is not ended by anything else than a signal.
func (b *behaviour) serveNull(listener net.Listener, log *arrivalLog) error {
	runtime.LockOSThread()
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	defer file.Close()
	s := &nullServer{listener: int(file.Fd()), wires: map[int32]*nullWire{}, stub: b, log: log,
		answer: b.answer(200, "OK", okBody)}
	if err := unix.SetNonblock(s.listener, true); err != nil {
		return err
	}
	if log != nil {
		// Connections inherit it.
		if err := unix.SetsockoptInt(s.listener, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
			return fmt.Errorf("SO_TIMESTAMPNS: %w", err)
		}
	}
	s.vector.Base = &s.buffer[0]
	s.vector.SetLen(nullBuffer)
	s.message = unix.Msghdr{Iov: &s.vector, Control: &s.control[0]}
	s.message.SetIovlen(1)
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if err := s.watch(s.listener, unix.EPOLLIN); err != nil {
		return err
	}
	return s.loop()
}

func (s *nullServer) watch(fd int, events uint32) error {
	event := unix.EpollEvent{Events: events, Fd: int32(fd)}
	return unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &event)
}

func (s *nullServer) loop() error {
	events := make([]unix.EpollEvent, nullEvents)
	for {
		n, err := unix.EpollWait(s.epoll, events, -1)
		if err != nil && err != unix.EINTR {
			return err
		}
		for i := range max(n, 0) {
			if fd := events[i].Fd; fd == int32(s.listener) {
				if err := s.accept(); err != nil {
					return err
				}
			} else if w := s.wires[fd]; w != nil && !s.ready(w, events[i].Events) {
				delete(s.wires, fd)
				unix.Close(w.fd)
			}
		}
	}
}

func (s *nullServer) accept() error {
	for {
		fd, _, err := unix.Accept4(s.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err == unix.EAGAIN {
			return nil
		}
		if err == unix.ECONNABORTED || err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		s.stub.dialled.Add(1)
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return err
		}
		s.wires[int32(fd)] = &nullWire{fd: fd}
		if err := s.watch(fd, unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLET); err != nil {
			return err
		}
	}
}

// ready reads what has come and answers what is complete. A read that fills less than it could was
// the last one, unless the client has closed. False: the connection is over.
func (s *nullServer) ready(w *nullWire, events uint32) bool {
	for {
		n, asked, errno := s.read(w)
		switch {
		case errno == unix.EAGAIN:
			return true
		case errno == unix.EINTR:
			continue
		case errno != 0 || n == 0 || s.take(w, n) != nil:
			return false
		}
		if n < asked && events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
			return true
		}
	}
}

// read takes a head into the buffer, or throws away of a body what is there.
func (s *nullServer) read(w *nullWire) (n, asked int, errno unix.Errno) {
	if w.left > 0 {
		asked = int(min(w.left, 1<<20))
		n, errno = s.receive(w.fd, asked, unix.MSG_TRUNC) // TCP discards these bytes without a copy
		return n, asked, errno
	}
	if s.log == nil {
		n, errno = s.receive(w.fd, nullBuffer, 0)
		return n, nullBuffer, errno
	}
	s.message.SetControllen(stampSpace)
	got, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(w.fd), uintptr(unsafe.Pointer(&s.message)), 0)
	if errno == 0 && len(w.held) == 0 {
		w.began = s.stamp()
	}
	return int(got), nullBuffer, errno
}

func (s *nullServer) receive(fd, size, flags int) (int, unix.Errno) {
	got, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(&s.buffer[0])), uintptr(size), uintptr(flags), 0, 0)
	return int(got), errno
}

// stamp is when the kernel received what was just read, on the wall clock; 0 if it did not say.
func (s *nullServer) stamp() int64 {
	header := (*unix.Cmsghdr)(unsafe.Pointer(&s.control[0]))
	if int(s.message.Controllen) < stampSpace || header.Type != unix.SO_TIMESTAMPNS {
		return 0
	}
	return (*unix.Timespec)(unsafe.Pointer(&s.control[unix.SizeofCmsghdr])).Nano()
}

// take consumes the n bytes that were read.
func (s *nullServer) take(w *nullWire, n int) error {
	if w.left > 0 { // they were thrown away
		if w.left -= int64(n); w.left > 0 {
			return nil
		}
		return s.reply(w)
	}
	for data := s.buffer[:n]; len(data) > 0; {
		used, complete, err := w.head(data)
		if err != nil || !complete {
			return err
		}
		data = data[used:]
		body := min(w.left, int64(len(data)))
		w.left -= body
		data = data[body:]
		if w.left > 0 {
			return nil
		}
		if err := s.reply(w); err != nil {
			return err
		}
	}
	return nil
}

// head looks for the end of a head in data and in what is held of it, and sets what is left of the
// body. A head in parts is rare.
func (w *nullWire) head(data []byte) (used int, complete bool, err error) {
	head, before := data, len(w.held)
	if before > 0 {
		head = append(w.held, data...)
	}
	end := bytes.Index(head, []byte("\r\n\r\n"))
	if end < 0 {
		w.held = append(w.held, data...)
		if len(w.held) > nullBuffer {
			return 0, false, errHead
		}
		return 0, false, nil
	}
	w.held = w.held[:0]
	w.stats = bytes.HasPrefix(head, []byte("GET /stats "))
	if head[0] != 'G' { // a GET has no body
		w.left, err = contentLength(head[:end])
	}
	return end + len("\r\n\r\n") - before, true, err
}

// contentLength is what the head says; 0 if it says nothing.
func contentLength(head []byte) (int64, error) {
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			return strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
		}
	}
	return 0, nil
}

// reply answers a request of which every byte has been read.
func (s *nullServer) reply(w *nullWire) error {
	answer := s.answer
	if w.stats {
		if err := s.log.flush(); err != nil {
			fmt.Fprintf(os.Stderr, "tb_stub: --log: %v\n", err)
		}
		answer = []byte(s.stub.stats())
	} else {
		s.stub.requests.Add(1)
		s.log.add(w.began)
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(w.fd), uintptr(unsafe.Pointer(&answer[0])),
		uintptr(len(answer)), unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
