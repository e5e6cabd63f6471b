package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

const help = `triton_bench sends images to an HTTP service and writes down when each request was due, sent and answered.

usage: triton_bench --url URL [--clients N | --rate R] [flags]

load
  --url URL            where requests go; without a path, /predict/small (default http://127.0.0.1:9600)
  --clients N          closed loop: N clients, each sends when its last request was answered (default 1)
  --rate R             open loop: R requests a second, sent on time whether or not others were answered
  --max-connections N  open loop: connections at most; further arrivals wait, their due time kept
                       (default 4096)

length
  --warmup D           load before the measured time, recorded as such (default 2s)
  --duration D         measured time; "10", "10s" and "2m" are durations (default 10s)
  --requests N         stop after N measured requests; without --duration, only then
  --min-requests N     go on after --duration until N requests were measured, up to 4 times as long
  --timeout D          give a request up this long after it was sent (default 30s)

requests
  --image FILE         send this image
  --images DIR         send the images of this folder (default loadtests/images)
  --limit N            use only the first N images, by name
  --body FORM          multipart (field "image") or raw (default multipart)
  --seed S             order of the images (default 1)

output
  --samples FILE       write one row for each request to this Parquet file
  --json               print the summary as one JSON object
  --progress HOW       on standard error: auto, line (one line, rewritten), plain (a line a second), json,
                       none (default auto: line on a terminal, else plain)
  --quiet              no progress and no summary, except with --json

Exit status: 0 measured; 1 the measurement is broken; 2 wrong usage; 130 interrupted, with what was measured.
Response time counts from when a request was due, service time from when it was sent, both to the last byte.

examples
  triton_bench --clients 8 --duration 30s
  triton_bench --url http://127.0.0.1:9600/predict/nano --rate 40 --samples run.parquet --json
  triton_bench --url http://127.0.0.1:8080/detect --image cat.jpg --body raw --requests 1000
`

var errHelp = flag.ErrHelp

// options are the flags as given, checked.
type options struct {
	url                       string
	clients                   int
	rate                      float64
	maxConnections            int
	warmup, duration, timeout time.Duration
	requests, minRequests     int64
	image, images             string
	limit                     int
	body                      string
	seed                      uint64
	samples                   string
	json, quiet               bool
	progress                  string
	given                     map[string]bool
}

func (o *options) open() bool { return o.rate > 0 }

// endless tells that only --requests ends the run.
func (o *options) endless() bool { return o.requests > 0 && !o.given["duration"] }

// seconds is a duration as the seed's commands write it: a number of seconds, or Go's syntax.
type seconds struct{ value *time.Duration }

func (s seconds) String() string { return "" }

func (s seconds) Set(text string) error {
	d, err := time.ParseDuration(text)
	if number, notNumber := strconv.ParseFloat(text, 64); notNumber == nil {
		if math.IsNaN(number) || math.Abs(number) > 1e9 {
			return errors.New("expected a duration such as 10, 10s or 500ms")
		}
		d, err = time.Duration(math.Round(number*1e9)), nil
	}
	if err != nil || d < 0 || d > 1e9*time.Second {
		return errors.New("expected a duration such as 10, 10s or 500ms")
	}
	*s.value = d
	return nil
}

func parseOptions(arguments []string) (*options, error) {
	o := &options{
		warmup: 2 * time.Second, duration: 10 * time.Second, timeout: 30 * time.Second, given: map[string]bool{},
	}
	flags := flag.NewFlagSet("triton_bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.url, "url", "http://127.0.0.1:9600", "")
	flags.IntVar(&o.clients, "clients", 1, "")
	flags.Float64Var(&o.rate, "rate", 0, "")
	flags.IntVar(&o.maxConnections, "max-connections", 4096, "")
	flags.Var(seconds{&o.warmup}, "warmup", "")
	flags.Var(seconds{&o.duration}, "duration", "")
	flags.Var(seconds{&o.timeout}, "timeout", "")
	flags.Int64Var(&o.requests, "requests", 0, "")
	flags.Int64Var(&o.minRequests, "min-requests", 0, "")
	flags.StringVar(&o.image, "image", "", "")
	flags.StringVar(&o.images, "images", "loadtests/images", "")
	flags.IntVar(&o.limit, "limit", 0, "")
	flags.StringVar(&o.body, "body", "multipart", "")
	flags.Uint64Var(&o.seed, "seed", 1, "")
	flags.StringVar(&o.samples, "samples", "", "")
	flags.BoolVar(&o.json, "json", false, "")
	flags.StringVar(&o.progress, "progress", "auto", "")
	flags.BoolVar(&o.quiet, "quiet", false, "")
	if err := flags.Parse(arguments); err != nil {
		return nil, flagError(err)
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("argument %q: belongs to no flag; expected flags only", flags.Arg(0))
	}
	flags.Visit(func(f *flag.Flag) { o.given[f.Name] = true })
	return o, o.check()
}

// flagError puts the flag package's words into this lab's form.
func flagError(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return errHelp
	}
	text := err.Error()
	if name, unknown := strings.CutPrefix(text, "flag provided but not defined: -"); unknown {
		return fmt.Errorf("--%s: no such flag", name)
	}
	if name, missing := strings.CutPrefix(text, "flag needs an argument: -"); missing {
		return fmt.Errorf("--%s: no value; expected one behind it", name)
	}
	text = strings.Replace(text, "for flag -", "for --", 1)
	text = strings.Replace(text, "parse error", "expected a number", 1)
	return errors.New(text)
}

func (o *options) check() error {
	switch {
	case o.given["clients"] && o.given["rate"]:
		return errors.New("--clients and --rate: both given; expected one, clients wait for answers and a rate does not")
	case o.given["rate"] && (!(o.rate > 0) || o.rate > 1e6):
		return fmt.Errorf("--rate %g: expected requests a second, over 0 and at most 1000000", o.rate)
	case o.clients < 1 || o.clients > 65536:
		return fmt.Errorf("--clients %d: expected 1 to 65536", o.clients)
	case o.maxConnections < 1 || o.maxConnections > 65536:
		return fmt.Errorf("--max-connections %d: expected 1 to 65536", o.maxConnections)
	case o.given["max-connections"] && !o.open():
		return errors.New("--max-connections: given without --rate; in a closed loop --clients is the number of connections")
	case o.given["requests"] && o.requests < 1:
		return fmt.Errorf("--requests %d: expected at least 1", o.requests)
	case o.given["min-requests"] && (o.minRequests < 1 || o.given["requests"]):
		return errors.New("--min-requests: expected at least 1, and not together with --requests")
	case o.duration == 0 && !o.endless():
		return errors.New("--duration 0: nothing would be measured; expected a time such as 10s")
	case o.timeout == 0:
		return errors.New("--timeout 0: every request would be given up; expected a time such as 30s")
	case o.limit < 0:
		return fmt.Errorf("--limit %d: expected at least 1, or 0 for all images", o.limit)
	case o.given["image"] && o.given["images"]:
		return errors.New("--image and --images: both given; expected one")
	case o.body != "multipart" && o.body != "raw":
		return fmt.Errorf("--body %s: expected multipart or raw", o.body)
	case !slices.Contains([]string{"auto", "line", "plain", "json", "none"}, o.progress):
		return fmt.Errorf("--progress %s: expected auto, line, plain, json or none", o.progress)
	}
	return nil
}
