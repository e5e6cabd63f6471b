package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"windtunnel/triton_bench/load"
	"windtunnel/triton_bench/report"
	"windtunnel/triton_bench/sample"
)

// errInterrupted ends a session of several loads; what was measured until then is reported.
var errInterrupted = errors.New("interrupted")

// measure runs one load to its end. name tells it from the other loads of the session, if there are
// any. The summary is nil only when nothing may be said; with an error it tells what was counted.
func (s *session) measure(name string, c load.Config) (*report.Summary, error) {
	return s.watch(name, c, func(*load.Run, []sample.Row) {})
}

// watch is measure for somebody who looks at the rows as they come.
func (s *session) watch(name string, c load.Config, look func(*load.Run, []sample.Row)) (*report.Summary, error) {
	r := load.New(c)
	samples, hlog, err := s.files(name, r)
	if err != nil {
		return nil, err
	}
	if samples != nil {
		defer samples.Discard()
	}
	if hlog != nil {
		defer hlog.Discard()
	}
	if err := s.calibrate(c); err != nil {
		return nil, err
	}
	tally := report.NewTally(r)
	if s.options.metricsAddr != "" {
		exporter, err := report.Serve(s.options.metricsAddr, tally, s.options.runLabels(name, &c))
		if err != nil {
			return nil, usageError{err}
		}
		defer exporter.Close()
		s.say("metrics at %s", exporter.URL())
	}
	if err := r.Reach(); err != nil {
		return nil, err
	}
	s.begin(r)
	progress := report.StartProgress(tally, s.howToShow(), s.stderr)
	err = r.Do(func(rows []sample.Row) error {
		tally.Count(rows)
		look(r, rows)
		if samples != nil {
			if err := samples.Write(rows); err != nil {
				return err
			}
		}
		if hlog != nil {
			return hlog.Write(rows)
		}
		return nil
	})
	progress.End()
	summary := report.Summarize(tally, s.asked(name, &c))
	if err != nil {
		return summary, err
	}
	return summary, conclude(summary, samples, hlog)
}

// asked is what the summary tells of the flags.
func (s *session) asked(name string, c *load.Config) report.Asked {
	a := report.Asked{Name: name, Body: s.options.body, CeilingRPS: s.ceiling}
	if c.Open() && s.options.given["rate"] {
		a.Rate = &s.options.rate
	}
	return a
}

// begin sets t0 of a load that a signal may end from now on.
func (s *session) begin(r *load.Run) {
	r.Begin()
	if !s.enter(r) {
		r.Interrupt()
	}
}

// calibrate finds the instrument's ceiling before the first load.
func (s *session) calibrate(c load.Config) (err error) {
	if s.ceiling > 0 || s.options.calibrate == 0 {
		return nil
	}
	if s.ceiling, err = calibrate(c, s.options.calibrate, s.begin); err != nil {
		return fmt.Errorf("--calibrate: %w; expected a free local port; --calibrate 0 leaves it out", err)
	}
	if s.interrupted.Load() {
		return errInterrupted
	}
	return nil
}

func (s *session) files(name string, r *load.Run) (samples *sample.File, hlog *sample.HistogramLog, err error) {
	if s.options.samples != "" {
		images := make([]string, len(s.images))
		for i, image := range s.images {
			images[i] = image.name
		}
		if samples, err = sample.Create(fileOf(s.options.samples, name), images, r.Measured); err != nil {
			return nil, nil, usageError{err}
		}
	}
	if s.options.hlog != "" {
		if hlog, err = sample.CreateHistogramLog(fileOf(s.options.hlog, name), r.StartUnixNS, r.Measured); err != nil {
			if samples != nil {
				samples.Discard()
			}
			return nil, nil, usageError{err}
		}
	}
	return samples, hlog, nil
}

// fileOf puts a load's name before the extension: run.parquet becomes run-c0010.parquet.
func fileOf(path, name string) string {
	if name == "" {
		return path
	}
	extension := filepath.Ext(path)
	return strings.TrimSuffix(path, extension) + "-" + name + extension
}

func (s *session) howToShow() string {
	if s.options.quiet {
		return "none"
	}
	return s.options.progress
}

// conclude decides whether this is a measurement, and makes its files visible if it is.
func conclude(s *report.Summary, samples *sample.File, hlog *sample.HistogramLog) error {
	a := s.Accounting
	if a.Issued != a.Ended() {
		return fmt.Errorf("accounting: %d requests were issued and %d ended; expected the same number; "+
			"the samples were not kept", a.Issued, a.Ended())
	}
	if samples != nil {
		if err := samples.Finish(s.Window, a.Issued); err != nil {
			return err
		}
	}
	if hlog != nil {
		if err := hlog.Finish(); err != nil {
			return err
		}
	}
	if m := s.Measured; m.OK+m.HTTPError == 0 && !s.Interrupted {
		return unansweredError{s}
	}
	return nil
}

// An unansweredError is a load without an answer: no measurement of a service, though of a rate that
// is too high for one it may be.
type unansweredError struct{ summary *report.Summary }

func (e unansweredError) Error() string {
	text := fmt.Sprintf("%s: none of %d requests was answered in the measured time; expected an HTTP service",
		e.summary.URL, e.summary.Measured.Issued)
	if example := e.summary.FirstExample(); example != "" {
		text += "; the first failure was " + example
	}
	return text
}
