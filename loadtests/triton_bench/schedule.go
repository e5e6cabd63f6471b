package main

import (
	"math"
	"math/rand/v2"
)

// A schedule says when each arrival of an open loop is due, counted from t0. It is a pure function
// of the flags: nothing that the service does can move a due time.
type schedule struct {
	rate  float64 // arrivals a second
	count int64   // arrivals in all, warm-up included
}

// constantSchedule spaces arrivals evenly over warm-up and measured time. measured > 0 asks for that
// many arrivals after the warm-up, at most those that are due before the end.
func constantSchedule(rate float64, warmupNS, durationNS, measured int64) schedule {
	s := schedule{rate: rate}
	s.count = s.dueBefore(warmupNS + durationNS)
	if measured > 0 {
		s.count = min(s.count, s.dueBefore(warmupNS)+measured)
	}
	return s
}

// dueNS computes each time from its number, so that rounding never accumulates.
func (s schedule) dueNS(i int64) int64 {
	return int64(math.Round(float64(i) / s.rate * 1e9))
}

// dueBefore counts the arrivals with a due time before the given one.
func (s schedule) dueBefore(endNS int64) int64 {
	if endNS <= 0 {
		return 0
	}
	i := int64(float64(endNS) / 1e9 * s.rate)
	for i > 0 && s.dueNS(i-1) >= endNS {
		i--
	}
	for s.dueNS(i) < endNS {
		i++
	}
	return i
}

// imageOrder is the permutation in which a client goes through the images, again and again. The
// same seed and client give the same order, so that variants of one block get the same requests.
func imageOrder(seed uint64, client, images int) []int {
	return rand.New(rand.NewPCG(seed, uint64(client))).Perm(images)
}

// startNS spreads the first requests of clients evenly over one service time after the first answer,
// because clients that start together stay together for a long while.
func startNS(client, clients int, firstAnswerNS, serviceNS int64) int64 {
	return firstAnswerNS + serviceNS*int64(client)/int64(clients)
}
