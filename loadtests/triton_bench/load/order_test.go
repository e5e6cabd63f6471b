package load

import (
	"slices"
	"testing"
	"testing/quick"
)

func TestTimersComeInTheOrderOfTheirTimes(t *testing.T) {
	property := func(times []int64) bool {
		var waiting timers
		for i, ns := range times {
			waiting.add(ns, &sender{number: int32(i)})
		}
		slices.Sort(times)
		for _, want := range times {
			ns, s := waiting.first()
			if ns != want || s == nil {
				return false
			}
			waiting.removeFirst()
		}
		ns, s := waiting.first()
		return ns == Forever && s == nil
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
}

func TestAClientsImagesAreAPermutationThatFollowsFromTheSeed(t *testing.T) {
	property := func(seed uint64, client, images uint8) bool {
		n := int(images) + 1
		order := imageOrder(seed, int(client), n)
		if !slices.Equal(order, imageOrder(seed, int(client), n)) {
			return false
		}
		slices.Sort(order)
		for i, image := range order {
			if i != image {
				return false
			}
		}
		return len(order) == n
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
	const images = 100
	if slices.Equal(imageOrder(1, 0, images), imageOrder(2, 0, images)) ||
		slices.Equal(imageOrder(1, 0, images), imageOrder(1, 1, images)) {
		t.Error("two seeds, or two clients, have the same order")
	}
}
