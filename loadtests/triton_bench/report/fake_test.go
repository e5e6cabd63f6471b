package report

import (
	"sync/atomic"
	"testing"
	"time"

	"windtunnel/triton_bench/arrivals"
	"windtunnel/triton_bench/load"
	"windtunnel/triton_bench/sample"
)

// A script is a run whose facts a test sets; the measured time is from 1 s to 11 s.
type script struct {
	config           load.Config
	nowNS            atomic.Int64
	issued, inFlight int64
	queued, dials    int64
	interrupted      bool
	failures         map[sample.Failure]string
	usage            load.Usage
}

const startUnixNS = 1_795_457_848_252_607_543

func closedScript(clients int, steps ...load.Step) *script {
	return &script{config: load.Config{
		Target: load.Target{URL: "http://127.0.0.1:9600/predict/nano"}, Payloads: make([]load.Payload, 16),
		Seed: 7, Clients: clients, Client: load.Raw, Warmup: time.Second, Duration: 10 * time.Second, Steps: steps,
		TraceRatio: 0.01,
	}, usage: load.Usage{CPUSeconds: 1.5, WallSeconds: 11, BusiestLaneShare: 0.125, GOMAXPROCS: 2, RSSMaxBytes: 1 << 25}}
}

// openScript offers a thousand requests a second.
func openScript(t testing.TB) *script {
	t.Helper()
	s := closedScript(0)
	plan, err := arrivals.NewPlan([]arrivals.Segment{{Duration: 11 * time.Second, From: 1000, To: 1000}},
		arrivals.Gaps{Kind: "constant"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	s.config.Plan = plan
	return s
}

func (s *script) Config() *load.Config                 { return &s.config }
func (s *script) Now() int64                           { return s.nowNS.Load() }
func (s *script) StartUnixNS() int64                   { return startUnixNS }
func (s *script) MeasureStartNS() int64                { return 1e9 }
func (s *script) MeasureEndNS() int64                  { return 11e9 }
func (s *script) PlannedEndNS() int64                  { return 11e9 }
func (s *script) Measured(ns int64) bool               { return ns >= 1e9 && ns < 11e9 }
func (s *script) Issued() int64                        { return s.issued }
func (s *script) InFlight() int64                      { return s.inFlight }
func (s *script) Queued() int64                        { return s.queued }
func (s *script) Dials() int64                         { return s.dials }
func (s *script) Interrupted() bool                    { return s.interrupted }
func (s *script) FirstFailure(f sample.Failure) string { return s.failures[f] }
func (s *script) Usage() load.Usage                    { return s.usage }

func (s *script) StepOf(ns int64) int {
	for i, step := range s.config.Steps {
		if ns >= step.StartNS && ns < step.EndNS {
			return i
		}
	}
	return -1
}

func (s *script) Window(lastDoneNS int64) sample.Window {
	end := int64(11e9)
	if s.interrupted {
		end = min(end, lastDoneNS+1)
	}
	return sample.Window{StartUnixNS: startUnixNS, MeasureStartNS: 1e9, MeasureEndNS: end}
}

var _ Source = (*load.Run)(nil)

// answered is an ok answer after tookMS, of a request that was sent 20 us after it was due.
func answered(dueNS int64, tookMS float64) sample.Row {
	return sample.Row{
		DueNS: dueNS, SentNS: dueNS + 20_000, FirstByteNS: dueNS + 30_000, DoneNS: dueNS + int64(tookMS*1e6),
		BytesIn: 5, BytesOut: 9, Status: 200, StagesUS: sample.NoStages,
	}
}

func failed(dueNS int64, tookMS float64, f sample.Failure) sample.Row {
	r := answered(dueNS, tookMS)
	r.Failure, r.Status, r.FirstByteNS = f, 0, sample.None
	return r
}

// counted tallies rows, all of them issued and, unless they say otherwise, taken up when sent.
func counted(s *script, rows ...sample.Row) *Tally {
	t := NewTally(s)
	for i := range rows {
		if rows[i].TakenNS == 0 {
			rows[i].TakenNS = rows[i].SentNS
		}
	}
	s.issued = int64(len(rows))
	t.Count(rows)
	return t
}
