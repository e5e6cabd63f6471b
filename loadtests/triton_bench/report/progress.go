package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"windtunnel/triton_bench/load"
	"windtunnel/triton_bench/sample"
)

// A Moment is one second's view of a run, as --progress json prints it.
type Moment struct {
	ElapsedS float64  `json:"elapsed_s"`
	TotalS   *float64 `json:"total_s"` // null when only --requests ends the run
	Phase    string   `json:"phase"`
	Step     string   `json:"step,omitempty"` // of a load that changes
	RPS      *float64 `json:"rps"`
	P50MS    *float64 `json:"p50_ms"`
	P99MS    *float64 `json:"p99_ms"`
	Errors   int64    `json:"errors"`
	InFlight int64    `json:"in_flight"`
}

// A Progress prints a moment each second until it is ended.
type Progress struct {
	to         io.Writer
	how        string
	quit, over chan struct{}
}

// StartProgress shows how a run goes: as line (one line, rewritten), plain (a line a second), json
// (the same for programs), none, or auto, which is line on a terminal and plain elsewhere.
func StartProgress(t *Tally, how string, to *os.File) *Progress {
	if how == "auto" {
		how = "plain"
		if info, err := to.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			how = "line"
		}
	}
	p := &Progress{to, how, make(chan struct{}), make(chan struct{})}
	go p.work(t)
	return p
}

func (p *Progress) work(t *Tally) {
	defer close(p.over)
	if p.how == "none" {
		return
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var before, beforeNS int64
	for {
		select {
		case <-p.quit:
			if p.how == "line" {
				fmt.Fprint(p.to, "\r\x1b[K")
			}
			return
		case <-ticker.C:
			var m Moment
			m, before, beforeNS = t.moment(before, beforeNS)
			p.print(m)
		}
	}
}

// End stops the printing and waits for it.
func (p *Progress) End() {
	close(p.quit)
	<-p.over
}

// moment looks at the counts so far; before is the number of ok answers at the last look.
func (t *Tally) moment(before, beforeNS int64) (m Moment, done, nowNS int64) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	nowNS, done = t.now(), t.okDone
	m = Moment{
		ElapsedS: float64(nowNS) / 1e9, Phase: "warmup", InFlight: t.source.InFlight(),
		Errors: t.all.HTTPError + t.all.TransportError + t.all.Timeout,
	}
	if planned := t.source.PlannedEndNS(); planned != load.Forever {
		total := float64(max(planned, min(nowNS, t.source.MeasureEndNS()))) / 1e9
		m.TotalS = &total
	}
	observed := t.warmup.response
	if nowNS >= t.source.MeasureStartNS() {
		m.Phase = "measure"
		if step := t.source.StepOf(nowNS); step >= 0 {
			m.Step = t.source.Config().Steps[step].Name
		}
		if t.during.response.Total() > 0 {
			observed = t.during.response
		}
	}
	if observed.Total() > 0 {
		m.RPS = perSecond(done-before, float64(nowNS-beforeNS)/1e9)
		m.P50MS, m.P99MS = liveMS(observed, 0.50), liveMS(observed, 0.99)
	}
	return m, done, nowNS
}

func liveMS(d *sample.Distribution, p float64) *float64 {
	if ns, ok := d.Live(p); ok {
		return milliseconds(float64(ns))
	}
	return nil
}

func (p *Progress) print(m Moment) {
	if p.how == "json" {
		if line, err := json.Marshal(m); err == nil {
			fmt.Fprintf(p.to, "%s\n", line)
		}
		return
	}
	phase := m.Phase
	if m.Step != "" {
		phase = m.Step
	}
	line := fmt.Sprintf("%5.0f s of %s  %-7s  %8s ok/s  P50 %8s ms  P99 %8s ms  %d errors  %d in flight",
		m.ElapsedS, number(m.TotalS, "%.0f s"), phase, number(m.RPS, "%.1f"), number(m.P50MS, "%.2f"),
		number(m.P99MS, "%.2f"), m.Errors, m.InFlight)
	if p.how == "line" {
		fmt.Fprintf(p.to, "\r%s\x1b[K", line)
	} else {
		fmt.Fprintln(p.to, line)
	}
}
