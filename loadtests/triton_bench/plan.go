package main

import (
	"fmt"
	"strings"
	"time"

	"windtunnel/triton_bench/arrivals"
	"windtunnel/triton_bench/load"
	"windtunnel/triton_bench/sample"
)

// config is the load that the flags ask for, sent to one target.
func (o *options) config(target load.Target, payloads []load.Payload) (load.Config, error) {
	c := load.Config{
		Target: target, Payloads: payloads, Seed: o.seed, Clients: o.clients,
		MaxConnections: o.maxConnections, Threads: o.threads, Client: o.client, HTTP2: o.http2, Insecure: o.insecure,
		Warmup: o.warmup, Duration: o.duration, Timeout: o.timeout, Requests: o.requests, MinRequests: o.minRequests,
		Endless: o.endless(), TraceRatio: o.traceRatio, Baggage: o.baggage(),
	}
	if o.eachImageOnce() {
		c.Requests, c.Endless, c.OneOrder = int64(len(payloads)), true, true
	}
	if o.eachImageOnce() || c.Requests > 0 && c.Endless {
		c.Clients = int(min(int64(c.Clients), c.Requests))
	}
	if o.mode == "variable" {
		c.Steps = o.clientSteps()
	}
	if !o.open() {
		return c, nil
	}
	c.Rate = o.rateInWords()
	if o.replay != "" {
		return c, o.replayed(&c)
	}
	return c, o.planned(&c)
}

// rateInWords is the rate of an open loop as it was asked for.
func (o *options) rateInWords() string {
	switch {
	case o.steps != nil:
		words := make([]string, len(o.steps))
		for i, rate := range o.steps {
			words[i] = fmt.Sprintf("%g", rate)
		}
		return strings.Join(words, ",")
	case o.ramp != nil:
		return fmt.Sprintf("%g..%g", o.ramp.from, o.ramp.to)
	case o.replay != "":
		return "replay"
	}
	return fmt.Sprintf("%g", o.rate)
}

// longestSeconds is the longest time that a flag can ask for, and that fits a time.Duration.
const longestSeconds = 1e9

// clientSteps are the parts of --mode variable.
func (o *options) clientSteps() (steps []load.Step) {
	start, end := o.warmup, o.warmup+o.duration
	add := func(name string, clients int, length time.Duration) {
		length = min(length, end-start)
		steps = append(steps, load.Step{
			Name: name, Clients: clients, StartNS: int64(start), EndNS: int64(start + length),
		})
		start += length
	}
	switch o.pattern {
	case "burst":
		for number := 1; start < end; number++ {
			add(fmt.Sprintf("burst %d", number), o.clients, burstLength)
			start = min(end, start+o.burstInterval)
		}
	case "ramp":
		count := (o.clients + o.rampStep - 1) / o.rampStep
		for number := 1; number <= count; number++ {
			clients := min(number*o.rampStep, o.clients)
			add(fmt.Sprintf("%d clients", clients), clients, (end-start)/time.Duration(count-number+1))
		}
	}
	return steps
}

// planned is the open loop of --rate, --steps or --ramp.
func (o *options) planned(c *load.Config) (err error) {
	profile, first := []arrivals.Segment{}, o.rate
	switch {
	case o.steps != nil:
		c.Duration, first = o.duration*time.Duration(len(o.steps)), o.steps[0]
		for i, rate := range o.steps {
			start := o.warmup + time.Duration(i)*o.duration
			profile = append(profile, arrivals.Segment{Duration: o.duration, From: rate, To: rate})
			c.Steps = append(c.Steps, load.Step{
				Name: fmt.Sprintf("%g a second", rate), Rate: rate, StartNS: int64(start), EndNS: int64(start + o.duration),
			})
		}
	case o.ramp != nil:
		first = o.ramp.from
		profile = append(profile, arrivals.Segment{Duration: o.duration, From: o.ramp.from, To: o.ramp.to})
		c.Steps = rampSteps(o.ramp, o.warmup, o.duration)
	case c.Endless: // random arrivals may take longer than they do on average
		length := min(2*float64(c.Requests+100)/o.rate, longestSeconds)
		profile = append(profile, arrivals.Segment{Duration: time.Duration(length * 1e9), From: o.rate, To: o.rate})
	default: // room for --min-requests
		profile = append(profile, arrivals.Segment{Duration: load.Patience * o.duration, From: o.rate, To: o.rate})
	}
	if o.warmup > 0 {
		profile = append([]arrivals.Segment{{Duration: o.warmup, From: first, To: first}}, profile...)
	}
	c.Plan, err = arrivals.NewPlan(profile, arrivals.Gaps{Kind: o.arrivals, Shape: o.shape}, o.seed)
	return err
}

// rampSteps cuts a ramp into ten parts: its percentiles as a whole would be those of no rate at all.
func rampSteps(ramp *rateRamp, warmup, duration time.Duration) (steps []load.Step) {
	const parts = 10
	for i := range parts {
		rate := func(at float64) float64 { return ramp.from + (ramp.to-ramp.from)*at/parts }
		steps = append(steps, load.Step{
			Name: fmt.Sprintf("%.4g to %.4g a second", rate(float64(i)), rate(float64(i+1))), Rate: rate(float64(i) + 0.5),
			StartNS: int64(warmup + duration*time.Duration(i)/parts), EndNS: int64(warmup + duration*time.Duration(i+1)/parts),
		})
	}
	return steps
}

// replayed is the open loop of --replay: the recording's warm-up is the warm-up again.
func (o *options) replayed(c *load.Config) error {
	dueNS, window, err := sample.ReadDueNS(o.replay)
	if err != nil {
		return fmt.Errorf("--replay %w", err)
	}
	scaled := func(ns int64) time.Duration { return time.Duration(float64(ns) / o.speed) }
	c.Warmup = scaled(window.MeasureStartNS)
	length := scaled(window.MeasureEndNS - window.MeasureStartNS)
	c.Duration, c.Endless = length, false
	if o.given["duration"] {
		c.Duration = min(length, o.duration)
	}
	c.Plan, err = arrivals.ReplayPlan(dueNS, o.speed)
	return err
}
