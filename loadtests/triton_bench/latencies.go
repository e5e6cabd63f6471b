package main

import (
	"math"
	"math/bits"
	"slices"
)

// A distribution of times for the summary and the live line. Reports that compare variants are made
// from the samples file; this is what can be said without reading it again, in bounded memory.
//
// Up to exactLimit values are kept, and a percentile is the observed value of rank ceil(p*n). Beyond
// that the values are counted in buckets 1/2048 wide, and a percentile is the largest value observed
// in the bucket that holds the rank: still observed, at most 0.05 % above the exact one.
type distribution struct {
	exact   []int64 // nil after exactLimit
	counts  []int64
	largest []int64 // of each bucket
	n       int64
	sumNS   float64
	maxNS   int64
	atLeast int64 // requests that were given up: their times are lower bounds
}

const (
	exactLimit = 1 << 20
	bucketBits = 11
)

func newDistribution() *distribution { return &distribution{exact: []int64{}} }

func bucketOf(ns int64) int {
	v := uint64(max(ns, 0))
	shift := max(bits.Len64(v)-bucketBits-1, 0)
	return shift<<bucketBits + int(v>>shift)
}

func (d *distribution) add(ns int64, lowerBound bool) {
	d.sumNS += float64(ns)
	d.maxNS = max(d.maxNS, ns)
	if lowerBound {
		d.atLeast++
		return
	}
	d.n++
	if d.exact != nil && len(d.exact) < exactLimit {
		d.exact = append(d.exact, ns)
	} else {
		d.exact = nil
	}
	b := bucketOf(ns)
	if b >= len(d.counts) {
		d.counts = append(d.counts, make([]int64, b+1-len(d.counts))...)
		d.largest = append(d.largest, make([]int64, b+1-len(d.largest))...)
	}
	d.counts[b]++
	d.largest[b] = max(d.largest[b], ns)
}

func (d *distribution) total() int64 { return d.n + d.atLeast }

// percentile is the observed value of rank ceil(p*n). Those given up rank above all others: when the
// rank falls among them nothing but "longer" is known, and ok is false.
func (d *distribution) percentile(p float64) (ns int64, ok bool) {
	rank := max(int64(math.Ceil(p*float64(d.total())-1e-9)), 1)
	if rank > d.n {
		return 0, false
	}
	if d.exact != nil {
		slices.Sort(d.exact)
		return d.exact[rank-1], true
	}
	return d.estimate(rank), true
}

// live is percentile without sorting, for the progress line.
func (d *distribution) live(p float64) (ns int64, ok bool) {
	rank := max(int64(math.Ceil(p*float64(d.total())-1e-9)), 1)
	if rank > d.n {
		return 0, false
	}
	return d.estimate(rank), true
}

func (d *distribution) estimate(rank int64) int64 {
	for b, count := range d.counts {
		if rank -= count; rank <= 0 {
			return d.largest[b]
		}
	}
	return d.maxNS
}
