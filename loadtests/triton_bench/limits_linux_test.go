package main

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"windtunnel/triton_bench/report"
)

func TestMoreConnectionsThanFilesMayBeOpenAreRefused(t *testing.T) {
	t.Parallel()
	url := answering(t, say(fine))
	for _, given := range []struct{ flags, says string }{
		{"--clients 60", "only "},
		{"--mode matrix --matrix-clients 1,60", "only "},
		{"--rate 10 --max-connections 60", "only "},
		{"--rate 10 --threads 31", "only "},
		{"--rate 50 --duration 200ms", ""}, // a default is lowered instead
		{"--clients 5 --duration 200ms --threads 4", ""},
	} {
		c, stdout, stderr := child(t, `ulimit -n 85; exec "$0" "$@"`, quickly(t, url, 1, strings.Fields(given.flags)...)...)
		err := c.Run()
		if given.says == "" {
			if s := decoded[report.Summary](t, stdout.String()); err != nil || s.Measured.OK == 0 {
				t.Errorf("%s: %v; %s", given.flags, err, stderr)
			}
			continue
		}
		if c.ProcessState.ExitCode() != exitUsage || !strings.Contains(stderr.String(), given.says) ||
			!strings.Contains(stderr.String(), "ulimit -n") || strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("%s: %v; %s", given.flags, err, stderr)
		}
	}
}

// A process that may open no more files goes on, writes down what it could not send, and says that its
// own system was the limit.
func TestRunningOutOfFilesMakesRowsAndAnInvalidMeasurement(t *testing.T) {
	t.Parallel()
	url := answering(t, say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"))
	for _, client := range []string{"raw", "nethttp"} {
		c, stdout, stderr := child(t, `exec "$0" "$@"`, quickly(t, url, 1, "--rate", "100", "--duration", "1s", "--client", client)...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond)
		if err := unix.Prlimit(c.Process.Pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 4, Max: 4}, nil); err != nil {
			t.Error(err)
		}
		err := c.Wait()
		s := decoded[report.Summary](t, stdout.String())
		if err != nil || s.Measured.Issued != 100 || s.Errors["connect"] == 0 || s.Measured.OK == 0 {
			t.Errorf("%s: %v, %+v %v; %s", client, err, s.Measured, s.Errors, stderr)
		}
		if s.Instrument.Valid || !strings.Contains(strings.Join(s.Instrument.Reasons, "; "), "open files") {
			t.Errorf("%s: valid is %v because of %q", client, s.Instrument.Valid, s.Instrument.Reasons)
		}
	}
}
