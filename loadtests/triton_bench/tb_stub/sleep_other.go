//go:build !linux

package main

import "time"

// sleepUntil sleeps to a millisecond before the time after start and spins for the rest.
func sleepUntil(start time.Time, at time.Duration) {
	time.Sleep(at - time.Since(start) - time.Millisecond)
	for time.Since(start) < at {
	}
}
