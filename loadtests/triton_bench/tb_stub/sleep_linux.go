package main

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

const (
	clockMonotonic  = 1
	prSetTimerSlack = 29
	margin          = 30 * time.Microsecond // what waking up takes here; spent spinning instead
)

// sleepUntil returns at the given time after start, within microseconds on an idle core: a sleep of
// the kernel's with 1 ns of slack to shortly before it, and a spin for the rest.
func sleepUntil(start time.Time, at time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, 1, 0)
	for left := at - time.Since(start); left > 0; left = at - time.Since(start) {
		if left <= margin {
			continue
		}
		span := syscall.NsecToTimespec(int64(left - margin))
		syscall.Syscall6(syscall.SYS_CLOCK_NANOSLEEP, clockMonotonic, 0, uintptr(unsafe.Pointer(&span)), 0, 0, 0)
	}
}
