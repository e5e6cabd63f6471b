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

// A pacer waits for points in time on a thread of its own. Go's timers wake up to a millisecond late
// (they share the network poller's clock), the kernel's default slack adds 50 us; this one sleeps
// until an absolute time with 1 ns of slack. Make and use it in one goroutine.
type pacer struct {
	t0       time.Time
	zeroNS   int64 // t0 on the kernel's monotonic clock
	deadline syscall.Timespec
}

func newPacer(t0 time.Time) *pacer {
	runtime.LockOSThread()
	syscall.Syscall(syscall.SYS_PRCTL, prSetTimerSlack, 1, 0)
	return &pacer{t0: t0, zeroNS: monotonicNS() - int64(time.Since(t0))}
}

func (p *pacer) release() { runtime.UnlockOSThread() }

func monotonicNS() int64 {
	var now syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&now)), 0)
	return now.Nano()
}

// until sleeps until the given time after t0. A signal may cut it short: the caller looks again.
func (p *pacer) until(atNS int64) {
	p.deadline = syscall.NsecToTimespec(p.zeroNS + atNS)
	syscall.Syscall6(syscall.SYS_CLOCK_NANOSLEEP, clockMonotonic, timerAbsolute,
		uintptr(unsafe.Pointer(&p.deadline)), 0, 0, 0)
}
