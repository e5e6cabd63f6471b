package main

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

const (
	clockMonotonic  = 1
	timerAbsolute   = 1
	prSetTimerSlack = 29
)

// A pacer waits for points in time. Go's timers wake up to a millisecond late (they share the network
// poller's clock) and the kernel's default slack adds 50 us; this one sleeps in the kernel until an
// absolute time, with 1 ns of slack.
type pacer struct{ zeroNS int64 } // t0 on the kernel's monotonic clock

func newPacer(t0 time.Time) pacer {
	return pacer{monotonicNS() - int64(time.Since(t0))}
}

func monotonicNS() int64 {
	var now syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&now)), 0)
	return now.Nano()
}

// until sleeps until the given time after t0. A signal may cut it short: the caller looks again.
func (p pacer) until(atNS int64) {
	runtime.LockOSThread() // the slack belongs to the thread
	defer runtime.UnlockOSThread()
	syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, 1, 0)
	at := syscall.NsecToTimespec(p.zeroNS + atNS)
	syscall.Syscall6(syscall.SYS_CLOCK_NANOSLEEP, clockMonotonic, timerAbsolute, uintptr(unsafe.Pointer(&at)), 0, 0, 0)
}
