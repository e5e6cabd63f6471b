package main

import (
	"math"
	"runtime"
	"runtime/metrics"
	"syscall"
	"time"
)

// The instrument's report on itself: whether the numbers are the service's or its own.
type instrument struct {
	SendLagP50MS        *float64 `json:"send_lag_p50_ms"`
	SendLagP99MS        *float64 `json:"send_lag_p99_ms"`
	SendLagMaxMS        *float64 `json:"send_lag_max_ms"`
	OfferedRPS          *float64 `json:"offered_rps"` // null in a closed loop: its clients offer what they get
	AchievedRPS         *float64 `json:"achieved_rps"`
	CPUSeconds          float64  `json:"cpu_s"`
	WallSeconds         float64  `json:"wall_s"`
	GOMAXPROCS          int      `json:"gomaxprocs"`
	GCPauseMaxMS        float64  `json:"gc_pause_max_ms"`
	SchedLatencyP99MS   float64  `json:"sched_latency_p99_ms"`
	RSSMaxBytes         int64    `json:"rss_max_bytes"`
	Connections         int64    `json:"connections"`
	QueuedForConnection int64    `json:"queued_for_connection"`
}

const (
	schedLatencies = "/sched/latencies:seconds"
	gcPauses       = "/sched/pauses/total/gc:seconds"
)

// A gauge remembers how things stood when the run began.
type gauge struct {
	cpu     time.Duration
	started time.Time
	before  map[string]metrics.Float64Histogram
}

func startGauge() gauge {
	return gauge{cpuTime(), time.Now(), runtimeHistograms()}
}

func (g gauge) report() instrument {
	now := runtimeHistograms()
	usage := resourceUsage()
	return instrument{
		CPUSeconds: (cpuTime() - g.cpu).Seconds(), WallSeconds: time.Since(g.started).Seconds(),
		GOMAXPROCS:        runtime.GOMAXPROCS(0),
		GCPauseMaxMS:      1e3 * quantile(g.before[gcPauses], now[gcPauses], 1),
		SchedLatencyP99MS: 1e3 * quantile(g.before[schedLatencies], now[schedLatencies], 0.99),
		RSSMaxBytes:       maxRSSBytes(usage),
	}
}

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
