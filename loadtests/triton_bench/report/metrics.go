package report

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"windtunnel/triton_bench/arrivals"
	"windtunnel/triton_bench/sample"
)

// Bounds of the histograms, in seconds. Those of times are the service's own, so that both can be
// drawn in one panel; a send lag is far shorter.
var (
	timeBounds = []float64{
		0.001, 0.0015, 0.0025, 0.004, 0.006, 0.01, 0.015, 0.025, 0.04, 0.05, 0.075, 0.1,
		0.15, 0.25, 0.4, 0.5, 0.75, 1, 1.5, 2.5, 4, 6, 10,
	}
	lagBounds = []float64{
		0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1, 1, 10,
	}
)

// metrics reads the tally when it is scraped, so that counting a request costs no more with metrics
// than without. They cover warm-up and measured time, as counters must never fall.
type metrics struct {
	tally *Tally
	due   *arrivals.Arrivals // open loop: gone through as time passes, to count the arrivals offered
	// The next arrival that was not counted, and those that were.
	nextDueNS int64
	offered   float64

	requests, issued, offers, inFlight, queued, connections *prometheus.Desc
	response, service, lag, info                            *prometheus.Desc
}

func newMetrics(t *Tally, labels map[string]string) *metrics {
	desc := func(name, help string, variable ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, variable, nil)
	}
	m := &metrics{
		tally: t, nextDueNS: math.MaxInt64,
		requests: desc("loadtest_requests_total", "Requests that ended, by outcome.", "outcome"),
		issued:   desc("loadtest_issued_total", "Requests that were begun: the achieved rate is its rate."),
		offers: desc("loadtest_offered_total",
			"Open loop: arrivals that were due. The offered rate is its rate."),
		inFlight: desc("loadtest_in_flight", "Requests that have no answer yet."),
		queued: desc("loadtest_queued_total",
			"Open loop: arrivals for which no connection was free, at the limit of connections."),
		connections: desc("loadtest_connections_total", "Connections that were opened."),
		response: desc("loadtest_response_seconds",
			"From when a request was due to the last byte of its answer. Requests given up are above every bound."),
		service: desc("loadtest_service_seconds",
			"From when a request was sent to the last byte of its answer. Requests given up are above every bound."),
		lag: desc("loadtest_send_lag_seconds", "From when a request was due to when it was sent."),
		info: prometheus.NewDesc("loadtest_run_info",
			"1 during the measured time and 0 before and after it; the labels say what is measured.", nil, labels),
	}
	if plan := t.source.Config().Plan; plan != nil {
		m.due = plan.Arrivals()
		m.next()
	}
	return m
}

// Describe names every metric.
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		m.requests, m.issued, m.offers, m.inFlight, m.queued, m.connections, m.response, m.service, m.lag, m.info,
	} {
		to <- desc
	}
}

// Collect reads the tally under its lock, in one go: what a scrape says fits together.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	t := m.tally
	t.mutex.Lock()
	defer t.mutex.Unlock()
	counter := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, value, labels...)
	}
	gauge := func(desc *prometheus.Desc, value float64) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
	}
	for o := range sample.OutcomeCount {
		counter(m.requests, float64(t.all.Of(o)), o.String())
	}
	nowNS := t.now()
	if m.due != nil {
		counter(m.offers, m.dueBy(nowNS))
		counter(m.queued, float64(t.source.Queued()))
	}
	counter(m.issued, float64(t.source.Issued()))
	counter(m.connections, float64(t.source.Dials()))
	gauge(m.inFlight, float64(t.source.InFlight()))
	to <- histogram(m.response, timeBounds, t.warmup.response, t.during.response)
	to <- histogram(m.service, timeBounds, t.warmup.service, t.during.service)
	to <- histogram(m.lag, lagBounds, t.warmup.lag, t.during.lag)
	measuring := 0.0
	if t.source.Measured(nowNS) {
		measuring = 1
	}
	gauge(m.info, measuring)
}

// dueBy counts the arrivals up to a time. They end with the measured time, the plan may go on.
func (m *metrics) dueBy(nowNS int64) float64 {
	for limit := min(nowNS+1, m.tally.source.MeasureEndNS()); m.nextDueNS < limit; m.next() {
		m.offered++
	}
	return m.offered
}

func (m *metrics) next() {
	dueNS, ok := m.due.Next()
	if m.nextDueNS = dueNS; !ok {
		m.nextDueNS = math.MaxInt64
	}
}

// histogram adds distributions up. Bounds are in seconds, to a 2000th part of each.
func histogram(desc *prometheus.Desc, bounds []float64, of ...*sample.Distribution) prometheus.Metric {
	boundsNS, counts := make([]int64, len(bounds)), make([]uint64, len(bounds))
	for i, bound := range bounds {
		boundsNS[i] = int64(math.Round(bound * 1e9))
	}
	var total uint64
	var sumNS float64
	for _, d := range of {
		d.CountUpTo(boundsNS, counts)
		total += uint64(d.Total())
		sumNS += d.SumNS()
	}
	buckets := make(map[float64]uint64, len(bounds))
	for i, bound := range bounds {
		buckets[bound] = counts[i]
	}
	return prometheus.MustNewConstHistogram(desc, total, sumNS/1e9, buckets)
}
