package load

import (
	"strings"
	"testing"
)

func TestPreparingARequestAllocatesNothingWithABaggageOrWithout(t *testing.T) {
	for ratio, want := range map[float64]string{
		0: "-00\r\nContent-Length: 3\r\n\r\n", 1: "-01\r\nContent-Length: 3\r\nbaggage: loadtest.run=r\r\n\r\n",
	} {
		c := posting("127.0.0.1:1")
		c.Baggage = "loadtest.run=r"
		r := New(c)
		l := &lane{run: r, traces: newTraceIDs(ratio)}
		w := &wire{sender: &sender{payload: &c.Payloads[0]}, transport: &rawTransport{lane: l, baggage: endOfTraced(&c)}}
		w.prepare() // the head gets its room
		if n := testing.AllocsPerRun(1000, w.prepare); n != 0 {
			t.Errorf("ratio %g: %g allocations a request", ratio, n)
		}
		if head := string(w.head); !strings.HasSuffix(head, want) || w.sender.row.Trace == [16]byte{} {
			t.Errorf("ratio %g: %q, want it to end in %q", ratio, head, want)
		}
	}
}
