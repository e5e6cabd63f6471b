package report

import (
	"windtunnel/triton_bench/load"
	"windtunnel/triton_bench/sample"
)

// An Instrument is the instrument's report on itself: whether the numbers are the service's or its own.
type Instrument struct {
	Valid   bool     `json:"valid"`
	Reasons []string `json:"reasons"` // why it is not

	SendLagP50MS        *float64 `json:"send_lag_p50_ms"` // of all requests of the measured time
	SendLagP99MS        *float64 `json:"send_lag_p99_ms"`
	SendLagMaxMS        *float64 `json:"send_lag_max_ms"`
	PaceP99MS           *float64 `json:"pace_p99_ms"` // how late they were taken up, but for those that waited at the limit
	OfferedRPS          *float64 `json:"offered_rps"` // null in a closed loop: its clients offer what they get
	AchievedRPS         *float64 `json:"achieved_rps"`
	CPUSeconds          float64  `json:"cpu_s"`
	WallSeconds         float64  `json:"wall_s"`
	BusiestLaneShare    float64  `json:"busiest_lane_share"`
	GOMAXPROCS          int      `json:"gomaxprocs"`
	GCPauseMaxMS        float64  `json:"gc_pause_max_ms"`
	GCPauseShare        float64  `json:"gc_pause_share"`
	SchedLatencyP99MS   float64  `json:"sched_latency_p99_ms"`
	RSSMaxBytes         int64    `json:"rss_max_bytes"`
	Connections         int64    `json:"connections"`
	QueuedForConnection int64    `json:"queued_for_connection"`
}

// instrument is called with the tally locked, for a measured time of durationS.
func (t *Tally) instrument(durationS float64) Instrument {
	u := t.source.Usage()
	i := Instrument{
		CPUSeconds: u.CPUSeconds, WallSeconds: u.WallSeconds, BusiestLaneShare: u.BusiestLaneShare,
		GOMAXPROCS: u.GOMAXPROCS, GCPauseMaxMS: u.GCPauseMaxMS, GCPauseShare: u.GCPauseShare, SchedLatencyP99MS: u.SchedLatencyP99MS,
		RSSMaxBytes: u.RSSMaxBytes, Connections: t.source.Dials(), QueuedForConnection: t.source.Queued(),
	}
	if lag := t.during.lag; lag.Total() > 0 {
		i.SendLagP50MS, i.SendLagP99MS = percentileMS(lag, 0.50, 1), percentileMS(lag, 0.99, 1)
		i.SendLagMaxMS = milliseconds(float64(lag.MaxNS()))
	}
	i.PaceP99MS = percentileMS(t.pace, 0.99, 1)
	if durationS > 0 {
		i.AchievedRPS = perSecond(t.sentInWindow, durationS)
		if t.source.Config().Open() {
			i.OfferedRPS = perSecond(t.measured.Issued, durationS)
		}
	}
	return i
}

// facts are what the instrument is judged by.
func (t *Tally) facts(i *Instrument, responseP50MS *float64, ceilingRPS float64) Facts {
	c := t.source.Config()
	at, p := "P50", 0.50
	if n := t.pace.Total(); n >= needForP99 {
		at, p = "P99", 0.99
	} else if n >= needForP95 {
		at, p = "P95", 0.95
	}
	return Facts{
		Open: c.Open(), NetHTTP: c.Client == load.NetHTTP, ResponseP50MS: responseP50MS,
		PaceMS: percentileMS(t.pace, p, 1), PaceAt: at, PromptDue: t.promptDue, PromptTaken: t.promptTaken,
		AchievedRPS: i.AchievedRPS, CeilingRPS: ceilingRPS,
		ConnectFailure: t.source.FirstFailure(sample.ConnectFailure), Usage: t.source.Usage(),
	}
}
