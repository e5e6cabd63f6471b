package load

import (
	"encoding/binary"
	"strings"
	"testing"
)

func TestTraceIDsAreStampedInPlace(t *testing.T) {
	ids := newTraceIDs(0)
	field := []byte(TraceparentField)
	first, _ := ids.stamp(field)
	if string(field[:16]) != TraceparentField[:16] || !strings.HasSuffix(string(field), "-00\r\n") ||
		len(field) != len(TraceparentField) || string(field) == TraceparentField {
		t.Errorf("%q", field)
	}
	if second, _ := ids.stamp(field); first == second {
		t.Error("two requests with one id")
	}
}

func TestTheShareOfSampledRequestsIsWhatWasAskedForAndFollowsFromTheID(t *testing.T) {
	for _, ratio := range []float64{0, 0.25, 1} {
		ids, field, sampled := newTraceIDs(ratio), []byte(TraceparentField), 0
		const requests = 20_000
		for range requests {
			trace, said := ids.stamp(field)
			asked := field[sampledOffset] == '1'
			if said != asked {
				t.Fatalf("ratio %g: told %v of the flag %v", ratio, said, asked)
			}
			if asked {
				sampled++
			}
			share := float64(binary.BigEndian.Uint64(trace[8:])%traceRange) / traceRange
			if asked != (share >= 1-ratio) {
				t.Fatalf("ratio %g: %x has the flag %v", ratio, trace, asked)
			}
		}
		// Five standard deviations of a binomial count.
		if want := ratio * requests; float64(sampled) < want-310 || float64(sampled) > want+310 {
			t.Errorf("ratio %g: %d of %d are sampled", ratio, sampled, requests)
		}
	}
}
