package main

import (
	"fmt"
	"io"
	"time"
)

// A mode is a prepared closed-loop test, with the defaults of the seed's guide. Flags that are given
// win over them.
type mode struct {
	name, what string
	clients    int
	duration   time.Duration
}

var modes = []mode{
	{"single", "the first image, 10 requests one after another", 1, 0},
	{"set", "every image once, one after another (--limit)", 1, 0},
	{"quick", "16 clients for 30 s", 16, 30 * time.Second},
	{"full", "64 clients for 60 s (--clients, --duration)", 64, 60 * time.Second},
	{"all", "every image once, by 64 clients (--clients)", 64, 0},
	{"sustained", "finds the number of clients with the most throughput, then holds it for 300 s (--duration)", 0,
		300 * time.Second},
	{"variable", "a load that changes: --load-pattern constant, burst or ramp, 64 clients, 60 s", 64, 60 * time.Second},
	{"matrix", "one number of clients after another, 60 s each (--matrix-clients, --duration)", 0, 60 * time.Second},
}

// singleRequests is how often mode single sends its image.
const singleRequests = 10

// Tests have less time.
var (
	// probeDuration is how long mode sustained tries each number of clients.
	probeDuration = 10 * time.Second
	// burstLength is how long the clients of a burst send.
	burstLength = 5 * time.Second
)

var (
	matrixLevels    = []int{1, 10, 50, 100, 256}
	sustainedLevels = []int{16, 32, 64, 128, 256}
)

// applyMode fills in what the mode says and the flags do not.
func (o *options) applyMode() error {
	if o.mode == "" {
		return nil
	}
	for _, m := range modes {
		if m.name == o.mode {
			o.fill(m)
			return nil
		}
	}
	names := make([]string, len(modes))
	for i, m := range modes {
		names[i] = m.name
	}
	return oneOf("mode", o.mode, names...)
}

func (o *options) fill(m mode) {
	if !o.given["clients"] && m.clients > 0 {
		o.clients = m.clients
	}
	if !o.given["duration"] && m.duration > 0 {
		o.duration = m.duration
	}
	switch {
	case m.name == "single":
		if o.requests = singleRequests; !o.given["limit"] {
			o.limit = 1
		}
	case m.name == "matrix" && !o.given["matrix-clients"]:
		o.matrixClients = matrixLevels
	case m.name == "sustained" && !o.given["matrix-clients"]:
		o.matrixClients = sustainedLevels
	}
}

// eachImageOnce tells the modes whose length is the number of images.
func (o *options) eachImageOnce() bool { return o.mode == "set" || o.mode == "all" }

func listModes(to io.Writer) {
	fmt.Fprintln(to, "modes:")
	for _, m := range modes {
		fmt.Fprintf(to, "  %-10s %s\n", m.name, m.what)
	}
	fmt.Fprint(to, `
load patterns of --mode variable:
  constant   the same number of clients throughout
  burst      bursts of 5 s with pauses between them (--burst-interval)
  ramp       more clients from step to step (--ramp-step)
Each burst and each step is reported by the requests that were due in it.

examples:
  triton_bench --mode single
  triton_bench --mode full --clients 256 --duration 120
  triton_bench --mode variable --load-pattern ramp --ramp-step 32
  triton_bench --mode matrix --track all --matrix-clients 1,10,50 --duration 30
`)
}
