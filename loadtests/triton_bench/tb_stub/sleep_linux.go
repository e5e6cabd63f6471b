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
	// A goroutine that sleeps in the kernel keeps its processor, and with it the goroutines that wait
	// for one, until the runtime looks: up to 10 ms later. So the kernel gets the end of a sleep only.
	coarse = 3 * time.Millisecond
)

// sleepUntil returns at the given time after start, within microseconds on an idle core: a sleep of
// the runtime's until some milliseconds before it, one of the kernel's with 1 ns of slack until
// shortly before it, and a spin for the rest.
func sleepUntil(start time.Time, at time.Duration) {
	time.Sleep(at - time.Since(start) - coarse)
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
