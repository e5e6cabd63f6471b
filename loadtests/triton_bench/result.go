package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"windtunnel/triton_bench/report"
)

// report writes the result: to --output, and as JSON or for people.
func (s *session) report(r *result, stdout io.Writer) error {
	var whole any = r
	if r.one && len(r.Runs) == 1 {
		whole = r.Runs[0]
	}
	if s.options.output != "" {
		if err := writeWhole(s.options.output, whole); err != nil {
			return err
		}
	}
	switch {
	case s.options.json:
		return json.NewEncoder(stdout).Encode(whole)
	case s.options.quiet:
	case r.one && len(r.Runs) == 1:
		r.Runs[0].Print(stdout)
	default:
		r.print(stdout)
	}
	return nil
}

// print writes one line for each load, and what the session was for.
func (r *result) print(to io.Writer) {
	if len(r.Runs) > 0 {
		report.PrintTable(to, r.Runs)
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

// writeWhole writes a JSON file that appears under its name when it is complete.
func writeWhole(path string, value any) error {
	failed := func(err error) error {
		return fmt.Errorf("--output %s: %w; expected a file name in a folder that can be written to", path, err)
	}
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return failed(err)
	}
	partial, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".partial-*")
	if err != nil {
		return failed(err)
	}
	defer os.Remove(partial.Name())
	_, err = partial.Write(append(text, '\n'))
	for _, step := range []func() error{
		func() error { return partial.Chmod(0o644) }, partial.Sync, partial.Close,
		func() error { return os.Rename(partial.Name(), path) },
	} {
		if err == nil {
			err = step()
		}
	}
	if err != nil {
		return failed(err)
	}
	return nil
}
