// Package load sends requests to a service and turns each into a row. It is the instrument itself:
// when requests are sent, what is timed, and what happens when something goes wrong are decided here.
package load

import (
	"time"

	"windtunnel/triton_bench/arrivals"
)

// Clients by which requests can be sent.
const (
	Raw     = "raw"     // HTTP/1.1 over connections of our own, on Linux
	NetHTTP = "nethttp" // Go's net/http: TLS, HTTP/2, redirects
)

// A Target is where requests go.
type Target struct {
	URL    string // as it is reported
	Scheme string // http or https
	Host   string // for the Host field
	Dial   string // host:port
	Path   string // path and query
}

// A Payload is one image made into everything of a request but its trace id, before the run begins.
type Payload struct {
	Image       string // file name
	Method      string
	ContentType string
	Head        []byte // request line and fields; the trace ids in it are zeros
	TraceOffset int    // of the traceparent field in Head
	Body        []byte
}

// A Step is a part of the measured time with a load of its own. Times count from t0.
type Step struct {
	Name           string
	StartNS, EndNS int64
	Clients        int     // closed loop: clients that send
	Rate           float64 // open loop: requests a second on average, for the report
}

// A Config is one load, checked by whoever makes it.
type Config struct {
	Target   Target
	Payloads []Payload
	Seed     uint64 // order of the images

	Clients int            // closed loop, when Plan is nil: the most that send at a time
	Plan    *arrivals.Plan // open loop
	Rate    string         // open loop: requests a second in words, for the report
	// OneOrder has all clients take the images in turn from one order, so that N requests send each
	// image equally often; otherwise each client has an order of its own.
	OneOrder bool
	Steps    []Step // none while the load is the same throughout

	MaxConnections int // open loop
	Threads        int // threads that send
	Client         string
	HTTP2          bool // over net/http, also without TLS
	Insecure       bool // any certificate will do

	Warmup, Duration, Timeout time.Duration
	Requests, MinRequests     int64 // 0: not limited, not asked for
	Endless                   bool  // only Requests ends the run
	TraceRatio                float64
	// Baggage is the value of a header that requests have which ask to be traced; empty: none.
	Baggage string
}

// Open tells that arrivals do not wait for answers.
func (c *Config) Open() bool { return c.Plan != nil }
