package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"

	"windtunnel/triton_bench/load"
)

// A session is one call of the program: what its loads share.
type session struct {
	options *options
	stderr  *os.File
	images  []image
	names   []string // of the tracks; one empty name without --track
	targets []load.Target
	ceiling float64 // requests a second that the instrument was calibrated to; 0 before

	output      *outputFile // nil without --output
	interrupted atomic.Bool
	aborted     context.Context // with the first signal
	abort       context.CancelFunc
	mutex       sync.Mutex
	current     *load.Run // the load under way
	stopSignals func()
}

// newSession does everything that can be wrong before a request is sent.
func newSession(o *options, stderr *os.File) (s *session, err error) {
	s = &session{options: o, stderr: stderr}
	s.aborted, s.abort = context.WithCancel(context.Background())
	if s.names, s.targets, err = targets(o); err != nil {
		return nil, usageError{err}
	}
	if s.images, err = readImages(o); err != nil {
		return nil, usageError{err}
	}
	if err = enoughFiles(o); err != nil {
		return nil, usageError{err}
	}
	if o.output != "" {
		if s.output, err = newOutputFile(o.output); err != nil {
			return nil, usageError{err}
		}
	}
	s.listen()
	return s, nil
}

// close gives back what the session holds.
func (s *session) close() {
	s.stopSignals()
	if s.output != nil {
		s.output.discard()
	}
}

// say writes a line about the session itself, where progress is written.
func (s *session) say(format string, values ...any) {
	if !s.options.quiet && s.options.progress != "none" && s.options.progress != "json" {
		fmt.Fprintf(s.stderr, format+"\n", values...)
	}
}

// listen ends the load under way at the first signal, and with it the session; a second signal ends
// the process at once.
func (s *session) listen() {
	signals, closed := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	s.stopSignals = sync.OnceFunc(func() { signal.Stop(signals); close(closed) })
	go func() {
		select {
		case <-signals:
			signal.Stop(signals)
			s.mutex.Lock()
			defer s.mutex.Unlock()
			s.interrupted.Store(true)
			s.abort()
			if s.current != nil {
				s.current.Interrupt()
			}
		case <-closed:
		}
	}()
}

// enter makes a load the one that a signal ends; false when a signal has already come.
func (s *session) enter(r *load.Run) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.current = r
	return !s.interrupted.Load()
}

// enoughFiles refuses more connections than the system will open, and lowers a default that is.
func enoughFiles(o *options) error {
	var limit syscall.Rlimit
	own := 24 + 2*o.threads // files that are not connections
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return nil
	}
	most := int(min(limit.Cur, 1<<20)) - own
	if most < 1 {
		return fmt.Errorf("only %d files may be open; expected at least %d; raise `ulimit -n`", limit.Cur, own+1)
	}
	if most < 3*calibrationClients { // both ends of its connections are here
		o.calibrate = 0
	}
	for _, clients := range append([]int{o.clients}, o.matrixClients...) {
		if clients > most && !o.open() {
			return fmt.Errorf("--clients %d: only %d files may be open; expected fewer clients, or raise `ulimit -n`",
				clients, most)
		}
	}
	if o.maxConnections > most && o.given["max-connections"] {
		return fmt.Errorf("--max-connections %d: only %d files may be open; expected fewer, or raise `ulimit -n`",
			o.maxConnections, most)
	}
	o.maxConnections = min(o.maxConnections, max(most, o.threads))
	return nil
}
