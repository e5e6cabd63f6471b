package main

import (
	"math"
	"slices"
	"testing"
	"testing/quick"
)

// drawn keeps quick's numbers within what --rate, --warmup and --duration can be.
func drawn(rate, length uint16) (float64, int64) {
	return 0.1 + float64(rate)/7, int64(length) * 1e6
}

func TestScheduleCountsEveryArrivalDueBeforeTheEnd(t *testing.T) {
	property := func(rate, warmup, length uint16) bool {
		r, warmupNS := drawn(rate, warmup)
		_, lengthNS := drawn(rate, length)
		s := constantSchedule(r, warmupNS, lengthNS, 0)
		end := warmupNS + lengthNS
		return s.dueNS(s.count) >= end && (s.count == 0 || s.dueNS(s.count-1) < end) &&
			math.Abs(float64(s.count)-float64(end)/1e9*r) <= 1
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
}

func TestScheduleIsInOrderAndNeverDrifts(t *testing.T) {
	property := func(rate uint16, i uint32) bool {
		r, _ := drawn(rate, 0)
		s := schedule{rate: r, count: math.MaxInt64}
		n := int64(i % 100_000) // due times stay exact in a float for weeks, not for ever
		return s.dueNS(n) < s.dueNS(n+1) && math.Abs(float64(s.dueNS(n))-float64(n)/r*1e9) <= 1
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
}

func TestScheduleWithARequestLimitHasThatManyAfterTheWarmup(t *testing.T) {
	property := func(rate, warmup uint16, limit uint8) bool {
		r, warmupNS := drawn(rate, warmup)
		n := int64(limit) + 1
		s := constantSchedule(r, warmupNS, int64(math.Ceil(float64(n)/r*1e9)), n)
		return s.count-s.dueBefore(warmupNS) == n
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
}

func TestImageOrderIsAPermutationThatItsSeedDecides(t *testing.T) {
	property := func(seed uint64, client uint16, images uint8) bool {
		n := int(images) + 1
		order := imageOrder(seed, int(client), n)
		sorted := slices.Sorted(slices.Values(order))
		for i, image := range sorted {
			if image != i {
				return false
			}
		}
		return slices.Equal(order, imageOrder(seed, int(client), n))
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
	if slices.Equal(imageOrder(1, 0, 17), imageOrder(2, 0, 17)) || slices.Equal(imageOrder(1, 0, 17), imageOrder(1, 1, 17)) {
		t.Error("another seed or client gave the same order")
	}
}

func TestClientsStartEvenlyWithinOneServiceTime(t *testing.T) {
	for client, want := range []int64{100, 150, 200, 250} {
		if got := startNS(client, 4, 100, 200); got != want {
			t.Errorf("client %d starts at %d, want %d", client, got, want)
		}
	}
}
