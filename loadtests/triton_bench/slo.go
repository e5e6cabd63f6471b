package main

import (
	"errors"
	"fmt"
	"time"

	"windtunnel/triton_bench/arrivals"
	"windtunnel/triton_bench/capacity"
	"windtunnel/triton_bench/load"
	"windtunnel/triton_bench/sample"
)

const (
	// queueGrowth is the overload that a probe must notice: the search's resolution. A queue that grows
	// by this share of the time reaches the objective within a probe of limit / queueGrowth.
	queueGrowth = 0.05
	// guessClients are the closed loop that shows where to begin to search.
	guessClients = 8
	// patienceWithLate is how many times the objective a request is waited for: it is over anyway.
	patienceWithLate = 4
	// settleRequests in a row must be answered well before the next probe, within settleRounds tries.
	settleRequests, settleRounds = 3, 10
)

// Tests have less time.
var (
	guessDuration = 3 * time.Second
	// shortestProbe is how long each rate is held at least: queues need time to grow.
	shortestProbe = 5 * time.Second
)

// search finds the highest rate at which a target holds the objective.
func (s *session) search(all *result, track string, c load.Config) error {
	slo, err := capacity.ParseSLO(s.options.slo)
	if err != nil {
		return usageError{err}
	}
	start := s.options.rate
	if start == 0 {
		if start, err = s.guess(c); err != nil {
			return err
		}
	}
	search, err := capacity.New(slo, capacity.Options{StartRPS: start})
	if err != nil {
		return usageError{fmt.Errorf("--rate: %w", err)}
	}
	for err == nil {
		probe, done := search.Next()
		if done {
			break
		}
		var outcome capacity.Outcome
		if outcome, err = s.probe(track, c, slo, probe); err == nil {
			search.Report(outcome)
		}
	}
	found := search.Result()
	all.Capacity[track] = &found
	return err
}

// guess is half of what a few clients get through: somewhere to begin.
func (s *session) guess(c load.Config) (rps float64, err error) {
	c.Plan, c.Clients, c.Duration, c.Endless = nil, guessClients, guessDuration, false
	summary, err := s.measure("", c)
	if err != nil {
		return 0, err
	}
	if s.interrupted.Load() {
		return 0, errInterrupted
	}
	return max(*summary.ThroughputRPS/2, 0.5), nil
}

// probe holds one rate for as long as the number of requests takes, or until it is clear that the
// objective is missed.
func (s *session) probe(track string, c load.Config, slo capacity.SLO, p capacity.Probe) (capacity.Outcome, error) {
	var err error
	seconds := float64(p.MinRequests) / p.RateRPS
	c.Duration = max(shortestProbe, time.Duration(float64(slo.LimitNS)/queueGrowth), time.Duration(seconds*1e9))
	c.Timeout = min(c.Timeout, max(patienceWithLate*time.Duration(slo.LimitNS), time.Second))
	c.Plan, err = arrivals.NewPlan([]arrivals.Segment{{Duration: c.Warmup + c.Duration, From: p.RateRPS, To: p.RateRPS}},
		arrivals.Gaps{Kind: s.options.arrivals, Shape: s.options.shape}, s.options.seed)
	if err != nil {
		return capacity.Outcome{}, err
	}
	c.Rate = fmt.Sprintf("%g", p.RateRPS)
	var o capacity.Outcome
	summary, err := s.watch(joined(track, fmt.Sprintf("q%g", p.RateRPS)), c, func(r *load.Run, rows []sample.Row) {
		for i := range rows {
			count(&o, r, &rows[i], slo.LimitNS)
		}
		// Decided even if all that are still to come were within: more would only keep the service busy.
		if capacity.Judge(max(p.MinRequests-o.Over, o.Within), o.Over, slo.Percentile) == capacity.NotHeld {
			r.Stop()
		}
	})
	var unanswered unansweredError
	if err != nil && !errors.As(err, &unanswered) {
		return o, err
	}
	if s.interrupted.Load() {
		return o, errInterrupted
	}
	if !summary.Instrument.Valid {
		o.Invalid = summary.Instrument.Reasons[0]
	}
	s.say("  %g a second: %d within %v, %d over", p.RateRPS, o.Within, time.Duration(slo.LimitNS), o.Over)
	return o, s.settle(c, slo)
}

// count takes a measured request as within the objective or over it. One that was cut short before
// its time was over says nothing.
func count(o *capacity.Outcome, r *load.Run, row *sample.Row, limitNS int64) {
	late := row.DoneNS-row.DueNS > limitNS
	switch {
	case !r.Measured(row.DueNS), row.Outcome() == sample.Censored && !late:
	case row.Outcome() == sample.OK && !late:
		o.Within++
	default:
		o.Over++
	}
}

// settle waits until the service has worked off what a probe left behind, so that one rate does not
// answer for another: until a few requests, one at a time, are answered within the objective. The
// requests of a service that never does are given up as soon as those of a probe.
func (s *session) settle(c load.Config, slo capacity.SLO) error {
	c.Plan, c.Clients, c.Warmup, c.Requests, c.Endless = nil, 1, 0, settleRequests, true
	for range settleRounds {
		r := load.New(c)
		if err := r.Reach(); err != nil {
			return err
		}
		s.begin(r)
		quick := true
		err := r.Do(func(rows []sample.Row) error {
			for i := range rows {
				if quick = quick && rows[i].Outcome() == sample.OK && rows[i].DoneNS-rows[i].DueNS <= slo.LimitNS; !quick {
					r.Stop()
				}
			}
			return nil
		})
		switch {
		case s.interrupted.Load():
			return errInterrupted
		case err != nil || quick:
			return err
		}
	}
	s.say("  the service did not settle: one request at a time takes over %v or fails", time.Duration(slo.LimitNS))
	return nil
}
