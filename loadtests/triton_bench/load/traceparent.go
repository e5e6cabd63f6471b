package load

import (
	crand "crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
)

// TraceparentField goes into every head, with zeros where the ids will be (W3C Trace Context).
const TraceparentField = "traceparent: 00-00000000000000000000000000000000-0000000000000000-00\r\n"

const (
	traceOffset   = len("traceparent: 00-")
	parentOffset  = traceOffset + 32 + 1
	sampledOffset = parentOffset + 16 + 2 // the flags' last digit
)

// traceIDs draws trace ids. They come from the system's entropy, not from the seed: ids of two runs
// of one campaign must differ.
type traceIDs struct {
	random  *rand.ChaCha8
	sampled uint64 // ids whose last 56 bits are at least this are asked to be traced
}

const traceRange = 1 << 56

// newTraceIDs asks for the given share of requests to be traced. The decision can be read from an
// id: it is that of OpenTelemetry's consistent probability sampling, by the last 56 bits.
func newTraceIDs(ratio float64) traceIDs {
	var seed [32]byte
	crand.Read(seed[:]) // never fails, by its contract
	return traceIDs{rand.NewChaCha8(seed), traceRange - uint64(math.Round(ratio*traceRange))}
}

// stamp writes fresh ids over those in field, which starts with TraceparentField, and tells whether
// they ask to be traced.
func (t traceIDs) stamp(field []byte) (trace [16]byte, sampled bool) {
	binary.LittleEndian.PutUint64(trace[:8], t.random.Uint64()|1) // no id may be all zeros
	low := t.random.Uint64()
	binary.BigEndian.PutUint64(trace[8:], low)
	var parent [8]byte
	binary.LittleEndian.PutUint64(parent[:], t.random.Uint64()|1)
	hex.Encode(field[traceOffset:], trace[:])
	hex.Encode(field[parentOffset:], parent[:])
	field[sampledOffset] = '0'
	if sampled = low%traceRange >= t.sampled; sampled {
		field[sampledOffset] = '1'
	}
	return trace, sampled
}
