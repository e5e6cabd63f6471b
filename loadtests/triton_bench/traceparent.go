package main

import (
	crand "crypto/rand"
	"encoding/hex"
	"math/rand/v2"
)

// traceparentHeader goes into every head, with zeros where the ids will be. Flags 00: the request is
// not sampled, it only carries an id by which a row can be found in the service's log.
const traceparentHeader = "traceparent: 00-00000000000000000000000000000000-0000000000000000-00\r\n"

const (
	traceOffset  = len("traceparent: 00-")
	parentOffset = traceOffset + 32 + 1
)

// traceIDs draws trace ids. They come from the system's entropy, not from --seed: ids of two runs of
// one campaign must differ.
type traceIDs struct{ random *rand.ChaCha8 }

func newTraceIDs() traceIDs {
	var seed [32]byte
	crand.Read(seed[:]) // never fails, by its contract
	return traceIDs{rand.NewChaCha8(seed)}
}

// stamp writes fresh ids over those in header, which starts with traceparentHeader.
func (t traceIDs) stamp(header []byte) (trace [16]byte) {
	var parent [8]byte
	t.random.Read(trace[:])
	t.random.Read(parent[:])
	trace[0] |= 1 // neither id may be all zeros
	parent[0] |= 1
	hex.Encode(header[traceOffset:], trace[:])
	hex.Encode(header[parentOffset:], parent[:])
	return trace
}
