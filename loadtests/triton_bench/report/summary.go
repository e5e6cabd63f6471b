package report

import (
	"maps"

	"windtunnel/triton_bench/load"
	"windtunnel/triton_bench/sample"
)

// Asked is what a run was asked for and its Config does not tell.
type Asked struct {
	Name       string   // tells this load from others of one call; empty if there is one
	Body       string   // form of the requests' bodies
	Rate       *float64 // open loop at one rate, in requests a second
	CeilingRPS float64  // what this generator reaches with a server that does nothing; 0: not measured
}

// A Summary is the JSON object of --json. Nothing measured is null, never zero.
type Summary struct {
	Version       int               `json:"version"`
	Tool          string            `json:"tool"`
	Name          string            `json:"name,omitempty"`
	Loop          string            `json:"loop"` // closed or open
	URL           string            `json:"url"`
	Client        string            `json:"client"` // raw or nethttp
	HTTP2         *bool             `json:"http2"`  // null where it cannot be asked for
	Clients       *int              `json:"clients"`
	Rate          *float64          `json:"rate"`     // null in a closed loop and where it changes
	Arrivals      *string           `json:"arrivals"` // the plan in words; null in a closed loop
	Seed          uint64            `json:"seed"`
	Body          string            `json:"body"`
	Images        int               `json:"images"`
	TraceRatio    float64           `json:"trace_ratio"`
	StartedUnixNS int64             `json:"started_unix_ns"`
	WarmupS       float64           `json:"warmup_s"`
	DurationS     float64           `json:"duration_s"`
	Window        sample.Window     `json:"window"`
	Accounting    sample.Accounting `json:"accounting"` // of all requests
	Measured      sample.Accounting `json:"measured"`   // of those due in the window
	Errors        map[string]int64  `json:"errors"`     // of those, by kind
	ThroughputRPS *float64          `json:"throughput_rps"`
	ResponseMS    Latencies         `json:"response_ms"`
	ServiceMS     Latencies         `json:"service_ms"`
	Steps         []Step            `json:"steps"` // empty when the load was the same throughout
	CeilingRPS    *float64          `json:"ceiling_rps"`
	Instrument    Instrument        `json:"instrument"`
	Interrupted   bool              `json:"interrupted"`

	examples []string // the first failure of each kind, in words
}

// A Step is what was measured of the requests due in one part of the measured time.
type Step struct {
	Name          string            `json:"name"`
	Clients       *int              `json:"clients"`
	Rate          *float64          `json:"rate"`
	StartNS       int64             `json:"start_ns"` // on the clock of the window
	EndNS         int64             `json:"end_ns"`   // before it was planned when the run was cut short
	Measured      sample.Accounting `json:"measured"`
	ThroughputRPS *float64          `json:"throughput_rps"` // ok answers that ended in the step
	ResponseMS    Latencies         `json:"response_ms"`
	ServiceMS     Latencies         `json:"service_ms"`
}

// Summarize is called when the run is over and all its rows were counted.
func Summarize(t *Tally, asked Asked) *Summary {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	c, w := t.source.Config(), t.source.Window(t.lastDoneNS)
	s := &Summary{
		Version: 1, Tool: "triton_bench", Name: asked.Name, Loop: "closed", URL: c.Target.URL, Client: c.Client, Seed: c.Seed,
		Body: asked.Body, Images: len(c.Payloads), TraceRatio: c.TraceRatio, StartedUnixNS: t.source.StartUnixNS(),
		WarmupS: c.Warmup.Seconds(), DurationS: float64(w.MeasureEndNS-w.MeasureStartNS) / 1e9, Window: w,
		Accounting: t.all, Measured: t.measured, Errors: maps.Clone(t.errors),
		ResponseMS: latencies(t.during.response), ServiceMS: latencies(t.during.service),
		Steps: t.stepsUntil(w.MeasureEndNS), Interrupted: t.source.Interrupted(),
	}
	s.Accounting.Issued = t.source.Issued()
	s.load(c, asked)
	if s.DurationS > 0 {
		s.ThroughputRPS = perSecond(t.okInWindow, s.DurationS)
	}
	s.Instrument = t.instrument(s.DurationS)
	s.Instrument.Valid, s.Instrument.Reasons = Check(t.facts(&s.Instrument, s.ResponseMS.P50, asked.CeilingRPS))
	if s.Instrument.Reasons == nil {
		s.Instrument.Reasons = []string{}
	}
	for f := sample.NoFailure + 1; f < sample.CensoredFailure; f++ {
		if text := t.source.FirstFailure(f); text != "" {
			s.examples = append(s.examples, f.String()+": "+text)
		}
	}
	return s
}

func (s *Summary) load(c *load.Config, asked Asked) {
	if c.Client == load.NetHTTP {
		s.HTTP2 = &c.HTTP2
	}
	if asked.CeilingRPS > 0 {
		s.CeilingRPS = &asked.CeilingRPS
	}
	if c.Open() {
		words := c.Plan.String()
		s.Loop, s.Rate, s.Arrivals = "open", asked.Rate, &words
	} else {
		s.Clients = &c.Clients
	}
}

// stepsUntil summarises the steps; one that the end of the measured time cut short has its real length.
func (t *Tally) stepsUntil(endNS int64) []Step {
	c := t.source.Config()
	steps := make([]Step, len(t.steps))
	for i, counted := range t.steps {
		planned := &c.Steps[i]
		end := max(min(planned.EndNS, endNS), planned.StartNS)
		s := Step{
			Name: planned.Name, StartNS: planned.StartNS, EndNS: end, Measured: counted.measured,
			ResponseMS: latencies(counted.response), ServiceMS: latencies(counted.service),
		}
		if c.Open() {
			s.Rate = &planned.Rate
		} else {
			s.Clients = &planned.Clients
		}
		if end > planned.StartNS {
			s.ThroughputRPS = perSecond(counted.ok, float64(end-planned.StartNS)/1e9)
		}
		steps[i] = s
	}
	return steps
}

// FirstExample is the first failure of the most basic kind in words, empty if there was none.
func (s *Summary) FirstExample() string {
	if len(s.examples) == 0 {
		return ""
	}
	return s.examples[0]
}
