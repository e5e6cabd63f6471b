package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"windtunnel/triton_bench/report"
)

// report writes the result: as JSON or for people, and to --output.
func (s *session) report(r *result, stdout io.Writer) error {
	var whole any = r
	if r.one && len(r.Runs) == 1 {
		whole = r.Runs[0]
	}
	switch {
	case s.options.json:
		if err := json.NewEncoder(stdout).Encode(whole); err != nil {
			return err
		}
	case s.options.quiet:
		r.warn(s.stderr)
	case r.one && len(r.Runs) == 1:
		r.Runs[0].Print(stdout)
	default:
		r.print(stdout)
	}
	if s.output != nil {
		return s.output.finish(whole)
	}
	return nil
}

// warn says what must not be missed even by those who asked for quiet.
func (r *result) warn(to io.Writer) {
	for _, summary := range r.Runs {
		for _, reason := range summary.Instrument.Reasons {
			fmt.Fprintf(to, "triton_bench: INVALID: %s\n", reason)
		}
	}
}

// print writes one line for each load, and what the session was for.
func (r *result) print(to io.Writer) {
	switch {
	case len(r.Runs) > 0:
		report.PrintTable(to, r.Runs)
	case len(r.Capacity) == 0:
		fmt.Fprintln(to, "interrupted before anything was measured")
	}
	for _, track := range trackNames {
		if why, leftOut := r.LeftOut[track]; leftOut {
			fmt.Fprintf(to, "left out   track %s: %s\n", track, why)
		}
	}
	for _, track := range append([]string{""}, trackNames...) {
		if found := r.Capacity[track]; found != nil {
			fmt.Fprintf(to, "%s\n", found.Words())
		}
	}
}

// An outputFile is a JSON file that appears under its name when it is complete. It is opened before
// the first request, so that nobody waits for a load whose result cannot be kept.
type outputFile struct {
	path    string
	partial *os.File
}

func newOutputFile(path string) (*outputFile, error) {
	f := &outputFile{path: path}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, fmt.Errorf("--output %s: is a folder; expected a file name", path)
	}
	var err error
	if f.partial, err = os.Create(path + ".partial"); err != nil {
		return nil, f.failed(err)
	}
	return f, nil
}

func (f *outputFile) failed(err error) error {
	return fmt.Errorf("--output %s: %w; expected a file name in a folder that can be written to", f.path, err)
}

func (f *outputFile) finish(value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return f.failed(err)
	}
	_, err = f.partial.Write(append(text, '\n'))
	for _, step := range []func() error{
		f.partial.Sync, f.partial.Close, func() error { return os.Rename(f.partial.Name(), f.path) },
	} {
		if err == nil {
			err = step()
		}
	}
	if err != nil {
		return f.failed(err)
	}
	return nil
}

// discard removes what is not complete; of a complete file nothing is left under that name.
func (f *outputFile) discard() {
	f.partial.Close()
	os.Remove(f.partial.Name())
}
