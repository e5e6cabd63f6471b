// Command triton_bench loads an HTTP service with images and writes down every request.
//
// It is the lab's measuring instrument: README.md in the folder above says what its numbers mean.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Exit statuses, as --help promises them.
const (
	exitMeasured    = 0
	exitBroken      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// A usageError is something that the flags got wrong; any other error is a broken measurement.
type usageError struct{ error }

func main() {
	os.Exit(command(os.Args[1:], os.Stdout, os.Stderr))
}

func command(arguments []string, stdout io.Writer, stderr *os.File) int {
	o, err := parseOptions(arguments)
	switch {
	case errors.Is(err, errHelp):
		fmt.Fprint(stdout, help)
		return exitMeasured
	case err != nil:
		fmt.Fprintf(stderr, "triton_bench: %v; --help lists the flags\n", err)
		return exitUsage
	case o.listModes:
		listModes(stdout)
		return exitMeasured
	}
	interrupted, err := bench(o, stdout, stderr)
	var usage usageError
	switch {
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "triton_bench: %v\n", err)
		return exitUsage
	case err != nil:
		fmt.Fprintf(stderr, "triton_bench: %v\n", err)
		return exitBroken
	case interrupted:
		return exitInterrupted
	}
	return exitMeasured
}

// bench makes the measurement and reports it.
func bench(o *options, stdout io.Writer, stderr *os.File) (interrupted bool, err error) {
	s, err := newSession(o, stderr)
	if err != nil {
		return false, err
	}
	defer s.close()
	result, err := s.run()
	if result != nil && (len(result.Runs)+len(result.Capacity) > 0 || err == nil) {
		if printErr := s.report(result, stdout); err == nil {
			err = printErr
		}
	}
	return s.interrupted.Load(), err
}
