package load

import (
	"math"
	"runtime"
	"runtime/metrics"
	"slices"
	"syscall"
	"time"
)

// Usage is what the instrument itself took since t0.
type Usage struct {
	CPUSeconds        float64
	WallSeconds       float64
	BusiestLaneShare  float64 // of the time, that the busiest sending thread did not sleep
	GOMAXPROCS        int
	GCPauseMaxMS      float64
	GCPauseShare      float64 // of the time, that all threads were stopped
	SchedLatencyP99MS float64
	RSSMaxBytes       int64
}

const (
	schedLatencies = "/sched/latencies:seconds"
	gcPauses       = "/sched/pauses/total/gc:seconds"
)

// A gauge remembers how things stood at t0, and how they stood at the end.
type gauge struct {
	cpu    time.Duration
	before map[string]metrics.Float64Histogram
	ended  Usage
}

func (g *gauge) start() {
	g.cpu, g.before = cpuTime(), runtimeHistograms()
}

func (g *gauge) stop(r *Run) {
	g.ended = g.now(r)
}

func (g *gauge) now(r *Run) Usage {
	histograms, wallNS := runtimeHistograms(), max(r.Now(), 1)
	u := Usage{
		CPUSeconds: (cpuTime() - g.cpu).Seconds(), WallSeconds: float64(wallNS) / 1e9, GOMAXPROCS: runtime.GOMAXPROCS(0),
		GCPauseMaxMS:      1e3 * quantile(g.before[gcPauses], histograms[gcPauses], 1),
		SchedLatencyP99MS: 1e3 * quantile(g.before[schedLatencies], histograms[schedLatencies], 0.99),
		RSSMaxBytes:       maxRSSBytes(resourceUsage()),
	}
	u.GCPauseShare = total(g.before[gcPauses], histograms[gcPauses]) / u.WallSeconds
	for _, l := range r.lanes {
		u.BusiestLaneShare = max(u.BusiestLaneShare, float64(l.busyNS.Load())/float64(wallNS))
	}
	return u
}

// Usage tells what the run has taken, at its end.
func (r *Run) Usage() Usage { return r.gauge.ended }

func runtimeHistograms() map[string]metrics.Float64Histogram {
	samples := []metrics.Sample{{Name: schedLatencies}, {Name: gcPauses}}
	metrics.Read(samples)
	read := map[string]metrics.Float64Histogram{}
	for _, sample := range samples {
		if sample.Value.Kind() == metrics.KindFloat64Histogram {
			read[sample.Name] = *sample.Value.Float64Histogram()
		}
	}
	return read
}

// added is what came to a histogram's counts since before.
func added(before, after metrics.Float64Histogram) (counts []uint64, total uint64) {
	counts = slices.Clone(after.Counts)
	for i := range counts {
		if i < len(before.Counts) {
			counts[i] -= before.Counts[i]
		}
		total += counts[i]
	}
	return counts, total
}

// quantile is the upper bound of the bucket that holds the quantile of what was added since before.
func quantile(before, after metrics.Float64Histogram, q float64) float64 {
	counts, n := added(before, after)
	if n == 0 {
		return 0
	}
	rank := uint64(math.Ceil(q * float64(n)))
	for i, count := range counts {
		if count >= rank {
			return bound(after.Buckets, i)
		}
		rank -= count
	}
	return 0
}

// total is the sum of what was added since before, each taken for its bucket's upper bound.
func total(before, after metrics.Float64Histogram) (sum float64) {
	counts, _ := added(before, after)
	for i, count := range counts {
		if count > 0 {
			sum += float64(count) * bound(after.Buckets, i)
		}
	}
	return sum
}

// bound is the upper bound of a bucket, or the lower one of the last, which has none.
func bound(buckets []float64, i int) float64 {
	if math.IsInf(buckets[i+1], 1) {
		return buckets[i]
	}
	return buckets[i+1]
}

func resourceUsage() syscall.Rusage {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return usage
}

func cpuTime() time.Duration {
	usage := resourceUsage()
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// maxRSSBytes: Linux counts kibibytes, Darwin bytes.
func maxRSSBytes(usage syscall.Rusage) int64 {
	if runtime.GOOS == "darwin" {
		return int64(usage.Maxrss)
	}
	return int64(usage.Maxrss) << 10
}
