package load

import (
	"encoding/binary"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// preciseThread keeps this goroutine on its thread for good and lets the thread wake precisely: the
// kernel's default slack would add 50 us to every sleep, Go's timers up to a millisecond. Where it
// shares a core with others it goes first, as far as this user may ask for that: a lane works for
// microseconds at a time, and what it waits for a core is in the numbers.
func preciseThread() {
	runtime.LockOSThread()
	syscall.RawSyscall(syscall.SYS_PRCTL, unix.PR_SET_TIMERSLACK, 1, 0)
	for _, nice := range []int32{mostUrgent, 0} { // the first needs a privilege, the second none
		attributes := unix.SchedAttr{Size: unix.SizeofSchedAttr, Nice: nice, Runtime: uint64(shortSlice)}
		if unix.SchedSetAttr(0, &attributes, 0) == nil {
			return
		}
	}
}

const (
	mostUrgent = -20
	// shortSlice asks the scheduler (EEVDF, since Linux 6.12) for little at a time and therefore soon.
	shortSlice = 100 * time.Microsecond
)

// lowerPriority makes the calling goroutine's thread yield to the lanes where they share a core: rows
// can wait, requests cannot.
func lowerPriority() {
	runtime.LockOSThread() // for good: the thread ends with the goroutine
	unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 10)
}

// A sleeper waits for events of file descriptors, for a time, or to be woken.
type sleeper struct {
	epoll, event int
	ready        [256]unix.EpollEvent
}

// eventTag marks the sleeper's own event among those of connections.
const eventTag = -1

func newSleeper() *sleeper {
	s := &sleeper{}
	var err error
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err == nil {
		s.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	}
	if err == nil {
		err = unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, s.event, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: eventTag})
	}
	if err != nil {
		// Only a process that may open no more files gets here, and that was checked before.
		panic("load: " + err.Error())
	}
	return s
}

// sleep returns the events that came until the time ns from now; none of them is the sleeper's own.
func (s *sleeper) sleep(ns int64) []unix.EpollEvent {
	timeout := unix.NsecToTimespec(max(ns, 0))
	// Raw: the runtime is not told that this thread sleeps, and leaves it its processor. Telling it costs
	// twice the CPU time, and milliseconds now and then to get a processor again on a busy machine. When
	// the collector needs the thread, its signal ends the sleep.
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(s.epoll), uintptr(unsafe.Pointer(&s.ready[0])),
		uintptr(len(s.ready)), uintptr(unsafe.Pointer(&timeout)), 0, 0)
	if errno == unix.ENOSYS { // before Linux 5.11: to the millisecond, early rather than late
		if count, err := unix.EpollWait(s.epoll, s.ready[:], int(min(ns/1e6, 1000))); err == nil {
			n, errno = uintptr(count), 0
		}
	}
	if errno != 0 { // a signal
		return nil
	}
	events := s.ready[:n]
	for i := range events {
		if events[i].Fd == eventTag {
			var count [8]byte
			unix.Read(s.event, count[:])
			events[i] = events[len(events)-1]
			return events[:len(events)-1]
		}
	}
	return events
}

func (s *sleeper) wake() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	unix.Write(s.event, one[:])
}

func (s *sleeper) close() {
	unix.Close(s.epoll)
	unix.Close(s.event)
}
