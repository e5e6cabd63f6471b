package sample

import (
	"math"
	"math/bits"
	"slices"
)

// A Distribution of times for the summary and the live line. Reports that compare variants are made
// from the sample file; this is what can be said without reading it again, in bounded memory.
//
// Up to ExactLimit values are kept, and a percentile is the observed value of rank ceil(p*n). Beyond
// that the values are counted in buckets 1/2048 wide, and a percentile is the largest value observed
// in the bucket that holds the rank: still observed, at most 0.05 % above the exact one.
type Distribution struct {
	exact   [][]int64 // in blocks, so that growing copies nothing
	full    bool      // nothing is exact: an estimate, or more than ExactLimit values
	pages   [64 - bucketBits]*page
	n       int64
	sumNS   float64
	maxNS   int64
	atLeast int64 // requests that were given up: their times are lower bounds
}

// A page holds the buckets of one octave. Times of one service span few octaves, so that most pages
// are never made.
type page struct {
	counts  [1 << bucketBits]int64
	largest [1 << bucketBits]int64 // of each bucket
}

const (
	// ExactLimit is how many values are kept as they are: 8 MiB.
	ExactLimit = 1 << 20
	exactBlock = 1 << 14
	bucketBits = 11
)

// NewDistribution keeps the values themselves as long as they are few.
func NewDistribution() *Distribution { return &Distribution{} }

// NewEstimate counts in buckets from the first value on. It takes 32 KiB for each octave (factor of
// two) in which there is a value, however many there are.
func NewEstimate() *Distribution { return &Distribution{full: true} }

// bucketOf finds the page and the bucket in it. The first page holds 0 to 2047 ns, and each further
// one the values from a power of two to the next.
func bucketOf(ns int64) (octave int, bucket int) {
	v := uint64(max(ns, 0))
	octave = max(bits.Len64(v)-bucketBits, 0)
	return octave, int(v>>max(octave-1, 0)) & (1<<bucketBits - 1)
}

// Add counts a time; lowerBound tells that it is one of at least ns.
func (d *Distribution) Add(ns int64, lowerBound bool) {
	d.sumNS += float64(ns)
	d.maxNS = max(d.maxNS, ns)
	if lowerBound {
		d.atLeast++
		return
	}
	d.n++
	d.keep(ns)
	octave, bucket := bucketOf(ns)
	p := d.pages[octave]
	if p == nil {
		p = new(page)
		d.pages[octave] = p
	}
	p.counts[bucket]++
	p.largest[bucket] = max(p.largest[bucket], ns)
}

func (d *Distribution) keep(ns int64) {
	if d.full {
		return
	}
	if d.n > ExactLimit {
		d.exact, d.full = nil, true
		return
	}
	last := len(d.exact) - 1
	if last < 0 || len(d.exact[last]) == cap(d.exact[last]) {
		d.exact = append(d.exact, make([]int64, 0, exactBlock))
		last++
	}
	d.exact[last] = append(d.exact[last], ns)
}

// Total counts all requests, AtLeast those given up among them.
func (d *Distribution) Total() int64 { return d.n + d.atLeast }

// AtLeast counts the requests that were given up, whose times are lower bounds.
func (d *Distribution) AtLeast() int64 { return d.atLeast }

// MaxNS is the longest time, those of requests given up included.
func (d *Distribution) MaxNS() int64 { return d.maxNS }

// SumNS adds up all times, those of requests given up included.
func (d *Distribution) SumNS() float64 { return d.sumNS }

// Percentile is the observed value of rank ceil(p*n). Those given up rank above all others: when the
// rank falls among them nothing but "longer" is known, and ok is false.
func (d *Distribution) Percentile(p float64) (ns int64, ok bool) {
	if d.full {
		return d.Live(p)
	}
	rank, ok := d.rank(p)
	if !ok {
		return 0, false
	}
	if len(d.exact) > 1 {
		d.exact = [][]int64{slices.Concat(d.exact...)}
	}
	slices.Sort(d.exact[0])
	return d.exact[0][rank-1], true
}

// Live is Percentile without sorting, for what is shown each second.
func (d *Distribution) Live(p float64) (ns int64, ok bool) {
	rank, ok := d.rank(p)
	if !ok {
		return 0, false
	}
	for _, page := range d.pages {
		if page == nil {
			continue
		}
		for bucket, count := range page.counts {
			if rank -= count; rank <= 0 {
				return page.largest[bucket], true
			}
		}
	}
	return d.maxNS, true
}

func (d *Distribution) rank(p float64) (rank int64, ok bool) {
	rank = max(int64(math.Ceil(p*float64(d.Total())-1e-9)), 1)
	return rank, rank <= d.n
}

// CountUpTo adds to counts[i] how many values were observed of at most boundsNS[i], which ascend. A
// bucket that a bound divides counts as above it, at an error of 0.05 % of the bound, so that a count
// never falls as more is added. Requests given up are above every bound.
func (d *Distribution) CountUpTo(boundsNS []int64, counts []uint64) {
	var below uint64
	octave, bucket := 0, 0
	for i, bound := range boundsNS {
		endOctave, endBucket := bucketOf(bound + 1)
		for ; octave < endOctave; octave, bucket = octave+1, 0 {
			below += d.pages[octave].sum(bucket, 1<<bucketBits)
		}
		below += d.pages[octave].sum(bucket, endBucket)
		bucket = endBucket
		counts[i] += below
	}
}

func (p *page) sum(from, to int) (sum uint64) {
	if p != nil {
		for _, count := range p.counts[from:to] {
			sum += uint64(count)
		}
	}
	return sum
}
