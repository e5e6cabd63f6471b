package load

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/quick"
)

// The list of requests in flight is compared with a slice that does the same the slow way.
func TestRequestsInFlightStayInTheOrderInWhichTheyCame(t *testing.T) {
	property := func(seed uint64, steps uint8) bool {
		random := rand.New(rand.NewPCG(seed, 0))
		var f flight
		var model []*wire
		for now := range int64(steps) {
			if len(model) == 0 || random.IntN(3) > 0 {
				w := &wire{}
				f.add(w, now)
				model = append(model, w)
			} else {
				i := random.IntN(len(model))
				f.remove(model[i])
				model = slices.Delete(model, i, i+1)
			}
			if !same(&f, model) {
				return false
			}
		}
		return true
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
}

func same(f *flight, model []*wire) bool {
	i, before := 0, (*wire)(nil)
	for w := f.oldest; w != nil; before, w, i = w, w.newer, i+1 {
		if i >= len(model) || model[i] != w || w.older != before {
			return false
		}
	}
	first := int64(Forever)
	if len(model) > 0 {
		first = model[0].deadlineNS
	}
	return i == len(model) && f.newest == before && f.firstNS() == first
}
