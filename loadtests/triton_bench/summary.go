package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// The smallest numbers of requests for which a 95 % interval of the percentile exists; with fewer the
// percentile is not reported.
const (
	needForP95 = 72
	needForP99 = 368
)

// A summary is the JSON object of --json. Nothing measured is null, never zero.
type summary struct {
	Version       int              `json:"version"`
	Tool          string           `json:"tool"`
	Loop          string           `json:"loop"`
	URL           string           `json:"url"`
	Clients       *int             `json:"clients"`
	Rate          *float64         `json:"rate"`
	Seed          uint64           `json:"seed"`
	Body          string           `json:"body"`
	Images        int              `json:"images"`
	StartedUnixNS int64            `json:"started_unix_ns"`
	WarmupS       float64          `json:"warmup_s"`
	DurationS     float64          `json:"duration_s"`
	Window        window           `json:"window"`
	Accounting    accounting       `json:"accounting"`
	Measured      accounting       `json:"measured"`
	Errors        map[string]int64 `json:"errors"`
	ThroughputRPS *float64         `json:"throughput_rps"`
	ResponseMS    latencyMS        `json:"response_ms"`
	ServiceMS     latencyMS        `json:"service_ms"`
	Instrument    instrument       `json:"instrument"`
	Interrupted   bool             `json:"interrupted"`

	examples []string // the first failure of each kind, in words
}

// latencyMS holds percentiles of answered requests. Those given up rank above them and count in mean
// and max with the time until then; at_least says how many they are.
type latencyMS struct {
	P50     *float64 `json:"p50"`
	P95     *float64 `json:"p95"`
	P99     *float64 `json:"p99"`
	Max     *float64 `json:"max"`
	Mean    *float64 `json:"mean"`
	AtLeast int64    `json:"at_least"`

	count int64
}

func latencies(d *distribution) latencyMS {
	l := latencyMS{AtLeast: d.atLeast, count: d.total()}
	if l.count == 0 {
		return l
	}
	l.Max, l.Mean = milliseconds(float64(d.maxNS)), milliseconds(d.sumNS/float64(l.count))
	l.P50 = percentileMS(d, 0.50, 1)
	l.P95 = percentileMS(d, 0.95, needForP95)
	l.P99 = percentileMS(d, 0.99, needForP99)
	return l
}

func percentileMS(d *distribution, p float64, need int64) *float64 {
	if d.total() < need {
		return nil
	}
	if ns, ok := d.percentile(p); ok {
		return milliseconds(float64(ns))
	}
	return nil
}

func milliseconds(ns float64) *float64 {
	ms := ns / 1e6
	return &ms
}

// errorName is the key under which a request counts in `errors`.
func errorName(w *row, o outcome) string {
	if o == httpErrorOutcome {
		return fmt.Sprintf("http_%d", w.status)
	}
	return w.failure.String()
}

// summarize is called when all rows are counted.
func summarize(r *run, c *collector, self instrument) *summary {
	t, o := &c.tally, r.options
	w := r.window(t)
	t.all.Issued = r.issued.Load()
	s := &summary{
		Version: 1, Tool: "triton_bench", Loop: "closed", URL: r.target.url, Seed: o.seed, Body: o.body,
		Images: len(r.payloads), StartedUnixNS: r.startUnixNS, WarmupS: o.warmup.Seconds(),
		DurationS: float64(w.MeasureEndNS-w.MeasureStartNS) / 1e9, Window: w,
		Accounting: t.all, Measured: t.measured, Errors: t.errors,
		ResponseMS: latencies(t.response), ServiceMS: latencies(t.service),
		Instrument: self, Interrupted: r.interrupted.Load(),
	}
	if o.open() {
		s.Loop, s.Rate = "open", &o.rate
	} else {
		s.Clients = &o.clients
	}
	if s.DurationS > 0 {
		s.ThroughputRPS = perSecond(t.okInWindow, s.DurationS)
		s.Instrument.AchievedRPS = perSecond(t.sentInWindow, s.DurationS)
		if o.open() {
			s.Instrument.OfferedRPS = perSecond(t.measured.Issued, s.DurationS)
		}
	}
	s.sendLag(t.lag)
	s.Instrument.Connections, s.Instrument.QueuedForConnection = r.dials.Load(), r.queued.Load()
	for f := connectFailure; f < failureCount; f++ {
		if text := r.failures[f].Load(); text != nil && f != censoredFailure {
			s.examples = append(s.examples, f.String()+": "+*text)
		}
	}
	return s
}

func (s *summary) sendLag(lag *distribution) {
	if lag.total() > 0 {
		s.Instrument.SendLagP50MS = percentileMS(lag, 0.50, 1)
		s.Instrument.SendLagP99MS = percentileMS(lag, 0.99, 1)
		s.Instrument.SendLagMaxMS = milliseconds(float64(lag.maxNS))
	}
}

func perSecond(count int64, seconds float64) *float64 {
	rate := float64(count) / seconds
	return &rate
}

// window is the measured time as it came about: a closed loop that --requests ends, and any run that
// the user ends, is over with its last answer.
func (r *run) window(t *tally) window {
	end := r.measureEndNS.Load()
	if r.interrupted.Load() || (r.options.requests > 0 && !r.options.open()) {
		end = min(end, max(t.lastDoneNS+1, r.stopNS.Load()))
	}
	return window{r.startUnixNS, r.measureStartNS, max(end, r.measureStartNS)}
}

// print writes the summary for people.
func (s *summary) print(to io.Writer) {
	load := ""
	if s.Rate != nil {
		load = fmt.Sprintf("open loop, %g requests a second", *s.Rate)
	} else {
		load = fmt.Sprintf("closed loop, %d clients", *s.Clients)
	}
	fmt.Fprintf(to, "%s\n%s, %.3g s after %.3g s of warm-up, %d images, seed %d\n\n",
		s.URL, load, s.DurationS, s.WarmupS, s.Images, s.Seed)
	fmt.Fprintf(to, "%-10s %10s %10s %10s %10s %10s\n", "ms", "P50", "P95", "P99", "max", "mean")
	s.ResponseMS.print(to, "response")
	s.ServiceMS.print(to, "service")
	m := s.Measured
	fmt.Fprintf(to, "\nmeasured   %d = %d ok + %d http error + %d transport error + %d timeout + %d censored\n",
		m.Issued, m.OK, m.HTTPError, m.TransportError, m.Timeout, m.Censored)
	for _, name := range slices.Sorted(maps.Keys(s.Errors)) {
		fmt.Fprintf(to, "           %d %s\n", s.Errors[name], name)
	}
	for _, example := range s.examples {
		fmt.Fprintf(to, "first      %s\n", example)
	}
	fmt.Fprintf(to, "throughput %s ok a second\n", number(s.ThroughputRPS, "%.1f"))
	i := s.Instrument
	fmt.Fprintf(to, "instrument send lag P50 %s, P99 %s, max %s ms; %.2f of %d cores; %d connections\n",
		number(i.SendLagP50MS, "%.3f"), number(i.SendLagP99MS, "%.3f"), number(i.SendLagMaxMS, "%.3f"),
		i.CPUSeconds/max(i.WallSeconds, 1e-9), i.GOMAXPROCS, i.Connections)
}

func (l latencyMS) print(to io.Writer, name string) {
	fmt.Fprintf(to, "%-10s %10s %10s %10s %10s %10s\n", name, l.cell(l.P50, 1), l.cell(l.P95, needForP95),
		l.cell(l.P99, needForP99), number(l.Max, "%.3f"), number(l.Mean, "%.3f"))
}

// cell tells a percentile that has too few requests from one that falls among those given up.
func (l latencyMS) cell(value *float64, need int64) string {
	if value == nil && l.count >= need && l.count > 0 {
		return "given up"
	}
	return number(value, "%.3f")
}

func number(value *float64, format string) string {
	if value == nil {
		return "-"
	}
	return strings.TrimSpace(fmt.Sprintf(format, *value))
}
