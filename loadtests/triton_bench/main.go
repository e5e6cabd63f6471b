// Command triton_bench loads an HTTP service with images and writes down every request.
//
// It is the lab's measuring instrument: README.md in the folder above says what its numbers mean.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// Exit statuses, as --help promises them.
const (
	exitMeasured    = 0
	exitBroken      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() {
	os.Exit(command(os.Args[1:], os.Stdout, os.Stderr))
}

func command(arguments []string, stdout io.Writer, stderr *os.File) int {
	o, err := parseOptions(arguments)
	if errors.Is(err, errHelp) {
		fmt.Fprint(stdout, help)
		return exitMeasured
	}
	if err != nil {
		fmt.Fprintf(stderr, "triton_bench: %v; --help lists the flags\n", err)
		return exitUsage
	}
	r, status, err := prepare(o)
	if err != nil {
		fmt.Fprintf(stderr, "triton_bench: %v\n", err)
		return status
	}
	s, err := measure(r, stderr)
	if s != nil {
		if printErr := report(s, o, stdout); err == nil {
			err = printErr
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "triton_bench: %v\n", err)
		return exitBroken
	}
	if s.Interrupted {
		return exitInterrupted
	}
	return exitMeasured
}

// prepare does everything that can be wrong before a request is sent.
func prepare(o *options) (r *run, status int, err error) {
	to, err := parseTarget(o.url)
	if err != nil {
		return nil, exitUsage, err
	}
	payloads, err := loadPayloads(o, to)
	if err != nil {
		return nil, exitUsage, err
	}
	if err := enoughFiles(o); err != nil {
		return nil, exitUsage, err
	}
	r = newRun(o, to, payloads)
	if o.samples != "" {
		if r.file, err = createSampleFile(o.samples, r); err != nil {
			return nil, exitUsage, err
		}
	}
	if r.first, err = r.reach(); err != nil {
		r.discard()
		return nil, exitBroken, err
	}
	return r, exitMeasured, nil
}

// enoughFiles refuses more connections than the system will open, and lowers a default that is.
func enoughFiles(o *options) error {
	var limit syscall.Rlimit
	const own = 32 // files that are not connections
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return nil
	}
	most := int(min(limit.Cur, 1<<20)) - own
	switch {
	case !o.open() && o.clients > most:
		return fmt.Errorf("--clients %d: only %d files may be open; expected fewer clients, or raise `ulimit -n`", o.clients, most)
	case o.open() && o.maxConnections > most && o.given["max-connections"]:
		return fmt.Errorf("--max-connections %d: only %d files may be open; expected fewer, or raise `ulimit -n`",
			o.maxConnections, most)
	}
	o.maxConnections = min(o.maxConnections, max(most, 1))
	return nil
}

// measure runs the load and completes the sample file. The summary is nil only when nothing may be
// said; with an error it tells what was counted all the same.
func measure(r *run, stderr *os.File) (*summary, error) {
	defer r.discard()
	if r.options.open() {
		// A leader's thread keeps its processor while it sleeps; the others need as many as before.
		runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), 2) + 1)
	}
	r.rows = newCollector(r, r.file)
	self := startGauge()
	r.begin()
	stopListening := r.listen()
	defer stopListening()
	go r.rows.work()
	shown := startProgress(r, r.rows, r.options.shownProgress(), stderr)
	r.load()
	r.rows.finish()
	shown.end()
	s := summarize(r, r.rows, self.report())
	return s, r.conclude(s)
}

func (o *options) shownProgress() string {
	if o.quiet {
		return "none"
	}
	return o.progress
}

func (r *run) load() {
	if r.options.open() {
		r.openLoop(r.first, constantSchedule(r.options.rate, r.measureStartNS, r.measureEndNS.Load()-r.measureStartNS, r.options.requests))
	} else {
		r.closedLoop(r.first)
	}
}

// listen stops the run at the first signal; a second one ends the process at once.
func (r *run) listen() (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ended := make(chan struct{})
	go func() {
		select {
		case <-signals:
			signal.Stop(signals)
			r.interrupted.Store(true)
			r.stop()
		case <-ended:
			signal.Stop(signals)
		}
	}()
	return func() { close(ended) }
}

// conclude decides whether this is a measurement, and makes its file visible if it is.
func (r *run) conclude(s *summary) error {
	a := s.Accounting
	switch {
	case r.rows.err != nil:
		return r.rows.err
	case a.Issued != a.ended():
		return fmt.Errorf("accounting: %d requests were issued and %d ended; expected the same number; "+
			"the samples were not kept", a.Issued, a.ended())
	case r.file != nil:
		if err := r.file.finish(s.Window); err != nil {
			return err
		}
	}
	if m := s.Measured; m.OK+m.HTTPError == 0 && !s.Interrupted {
		return fmt.Errorf("%s: none of %d requests was answered in the measured time; expected an HTTP service%s",
			s.URL, m.Issued, s.firstExample())
	}
	return nil
}

func (s *summary) firstExample() string {
	if len(s.examples) == 0 {
		return ""
	}
	return "; the first failure was " + s.examples[0]
}

func report(s *summary, o *options, to io.Writer) error {
	if o.json {
		return json.NewEncoder(to).Encode(s)
	}
	if !o.quiet {
		s.print(to)
	}
	return nil
}

func (r *run) discard() {
	if r.file != nil {
		r.file.discard()
	}
}
