package load

import (
	"math"
	"runtime"
	"runtime/metrics"
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

// quantile is the upper bound of the bucket that holds the quantile of what was added since before.
func quantile(before, after metrics.Float64Histogram, q float64) float64 {
	var total uint64
	added := make([]uint64, len(after.Counts))
	for i, count := range after.Counts {
		added[i] = count
		if i < len(before.Counts) {
			added[i] -= before.Counts[i]
		}
		total += added[i]
	}
	if total == 0 {
		return 0
	}
	rank := uint64(math.Ceil(q * float64(total)))
	for i, count := range added {
		if count >= rank {
			if bound := after.Buckets[i+1]; !math.IsInf(bound, 1) {
				return bound
			}
			return after.Buckets[i]
		}
		rank -= count
	}
	return 0
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
