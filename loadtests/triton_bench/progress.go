package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// A moment is one second's view of a run, as --progress json prints it.
type moment struct {
	ElapsedS float64  `json:"elapsed_s"`
	TotalS   *float64 `json:"total_s"` // null when only --requests ends the run
	Phase    string   `json:"phase"`
	RPS      *float64 `json:"rps"`
	P50MS    *float64 `json:"p50_ms"`
	P99MS    *float64 `json:"p99_ms"`
	Errors   int64    `json:"errors"`
	InFlight int64    `json:"in_flight"`
}

// A progress prints a moment each second until it is ended.
type progress struct {
	to         io.Writer
	how        string
	quit, over chan struct{}
}

func startProgress(r *run, c *collector, how string, to *os.File) *progress {
	p := &progress{to, how, make(chan struct{}), make(chan struct{})}
	if how == "auto" {
		p.how = "plain"
		if info, err := to.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.how = "line"
		}
	}
	go p.work(r, c)
	return p
}

func (p *progress) work(r *run, c *collector) {
	defer close(p.over)
	if p.how == "none" {
		return
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var before int64
	var beforeNS int64
	for {
		select {
		case <-p.quit:
			if p.how == "line" {
				fmt.Fprint(p.to, "\r\x1b[K")
			}
			return
		case <-ticker.C:
			m, done, nowNS := c.moment(r, before, beforeNS)
			before, beforeNS = done, nowNS
			p.print(m)
		}
	}
}

func (p *progress) end() {
	close(p.quit)
	<-p.over
}

// moment looks at the counts so far; before is the number of ok answers at the last look.
func (c *collector) moment(r *run, before, beforeNS int64) (m moment, done, nowNS int64) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	nowNS, done = r.now(), c.tally.okDone
	m = moment{
		ElapsedS: float64(nowNS) / 1e9, Phase: "warmup", InFlight: r.inFlight.Load(),
		Errors: c.tally.all.HTTPError + c.tally.all.TransportError + c.tally.all.Timeout,
	}
	if r.plannedEndNS != forever {
		total := float64(max(r.plannedEndNS, min(nowNS, r.measureEndNS.Load()))) / 1e9
		m.TotalS = &total
	}
	observed := c.tally.warmupResponse
	if nowNS >= r.measureStartNS {
		m.Phase = "measure"
		if c.tally.response.total() > 0 {
			observed = c.tally.response
		}
	}
	if observed.total() > 0 {
		m.RPS = perSecond(done-before, float64(nowNS-beforeNS)/1e9)
		m.P50MS, m.P99MS = liveMS(observed, 0.50), liveMS(observed, 0.99)
	}
	return m, done, nowNS
}

func liveMS(d *distribution, p float64) *float64 {
	if ns, ok := d.live(p); ok {
		return milliseconds(float64(ns))
	}
	return nil
}

func (p *progress) print(m moment) {
	if p.how == "json" {
		line, err := json.Marshal(m)
		if err == nil {
			fmt.Fprintf(p.to, "%s\n", line)
		}
		return
	}
	line := fmt.Sprintf("%5.0f s of %s  %-7s  %8s ok/s  P50 %8s ms  P99 %8s ms  %d errors  %d in flight",
		m.ElapsedS, number(m.TotalS, "%.0f s"), m.Phase, number(m.RPS, "%.1f"), number(m.P50MS, "%.2f"),
		number(m.P99MS, "%.2f"), m.Errors, m.InFlight)
	if p.how == "line" {
		fmt.Fprintf(p.to, "\r%s\x1b[K", line)
	} else {
		fmt.Fprintln(p.to, line)
	}
}
