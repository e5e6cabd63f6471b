package main

import (
	"syscall"
	"unsafe"
)

// peekIdle looks at a socket without waiting and without taking anything from it.
func peekIdle(fd uintptr) idleState {
	var one byte
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&one)), 1,
		syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
	switch {
	case errno == syscall.EAGAIN || errno == syscall.EINTR:
		return idleQuiet
	case errno != 0 || n == 0:
		return idleClosed
	default:
		return idleSpoke
	}
}
