package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"windtunnel/triton_bench/capacity"
	"windtunnel/triton_bench/load"
	"windtunnel/triton_bench/report"
)

// A result is what a session has to say.
type result struct {
	Version int               `json:"version"`
	Tool    string            `json:"tool"`
	Mode    string            `json:"mode"`
	Runs    []*report.Summary `json:"runs"`
	LeftOut map[string]string `json:"left_out"` // tracks that did not answer, and why
	// Capacity is what --slo found, by track; the empty name stands for the only target.
	Capacity map[string]*capacity.Result `json:"capacity"`

	one bool // a single load, which is reported by itself
}

// run makes all the loads of the session.
func (s *session) run() (*result, error) {
	o := s.options
	all := &result{Version: 1, Tool: "triton_bench", Mode: o.mode, Runs: []*report.Summary{}, LeftOut: map[string]string{},
		Capacity: map[string]*capacity.Result{}}
	all.one = len(s.targets) == 1 && o.mode != "matrix" && o.mode != "sustained" && o.slo == ""
	for i, target := range s.targets {
		if s.names[i] != "" {
			if err := s.available(s.names[i], target); err != nil {
				all.LeftOut[s.names[i]] = err.Error()
				s.say("track %s is left out: %v", s.names[i], err)
				continue
			}
		}
		err := s.runTarget(all, s.names[i], target)
		if errors.Is(err, errInterrupted) || s.interrupted.Load() && err == nil {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
	if len(all.Runs) == 0 && len(all.LeftOut) > 0 {
		return nil, fmt.Errorf("%s: none of the tracks asked for answers (%s); expected a service that has them",
			o.url, all.leftOut())
	}
	return all, nil
}

func (r *result) leftOut() string {
	var parts []string
	for _, name := range trackNames {
		if why, found := r.LeftOut[name]; found {
			parts = append(parts, name+": "+why)
		}
	}
	return strings.Join(parts, "; ")
}

// runTarget makes the loads of one track, or of the one target there is.
func (s *session) runTarget(all *result, track string, target load.Target) error {
	c, err := s.options.config(target, payloads(s.options, target, s.images))
	if err != nil {
		return usageError{err}
	}
	switch {
	case s.options.slo != "":
		return s.search(all, track, c)
	case s.options.mode == "matrix":
		for _, clients := range s.options.matrixClients {
			if _, err := s.level(all, track, c, clients); err != nil {
				return err
			}
		}
		return nil
	case s.options.mode == "sustained":
		return s.sustained(all, track, c)
	}
	_, err = s.add(all, track, c)
	return err
}

// add makes one load and keeps its summary.
func (s *session) add(all *result, name string, c load.Config) (*report.Summary, error) {
	if !all.one {
		s.say("%s", strings.TrimSpace("load "+name))
	}
	summary, err := s.measure(name, c)
	if summary != nil {
		all.Runs = append(all.Runs, summary)
	}
	if err == nil && s.interrupted.Load() {
		err = errInterrupted
	}
	return summary, err
}

// level makes one load with a number of clients.
func (s *session) level(all *result, track string, c load.Config, clients int) (*report.Summary, error) {
	c.Clients = clients
	name := joined(track, fmt.Sprintf("c%04d", clients))
	return s.add(all, all.unused(name), c)
}

// unused is the name, with a number if a load has it: a repeat must not overwrite another's files.
func (r *result) unused(name string) string {
	found := name
	for repeat := 2; slices.ContainsFunc(r.Runs, func(run *report.Summary) bool { return run.Name == found }); repeat++ {
		found = fmt.Sprintf("%s-r%d", name, repeat)
	}
	return found
}

// worthwhile is the share of the best throughput with which a number of clients is as good.
const worthwhile = 0.95

// sustained tries numbers of clients until one more step brings less, then holds the smallest that
// comes near the best: more clients than that add waiting and nothing else. Each try is one short
// run, so this is an indication; a campaign compares with repeats.
func (s *session) sustained(all *result, track string, c load.Config) error {
	probe := c
	probe.Duration = probeDuration
	var reached []float64
	for _, clients := range s.options.matrixClients {
		summary, err := s.level(all, track, probe, clients)
		if err != nil {
			return err
		}
		reached = append(reached, *summary.ThroughputRPS)
		if *summary.ThroughputRPS < worthwhile*slices.Max(reached) {
			break
		}
	}
	c.Clients = s.options.matrixClients[enough(reached)]
	_, err := s.level(all, joined(track, "sustained"), c, c.Clients)
	return err
}

// enough is the first that comes near the best.
func enough(reached []float64) int {
	best := slices.Max(reached)
	return slices.IndexFunc(reached, func(rps float64) bool { return rps >= worthwhile*best })
}

func joined(parts ...string) string {
	var given []string
	for _, part := range parts {
		if part != "" {
			given = append(given, part)
		}
	}
	return strings.Join(given, "-")
}
