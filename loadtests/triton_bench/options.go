package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"windtunnel/triton_bench/load"
)

var errHelp = flag.ErrHelp

// options are the flags as given, checked.
type options struct {
	url, track                string
	client                    string
	http2, insecure           bool
	mode, pattern             string
	listModes                 bool
	clients                   int
	burstInterval             time.Duration
	rampStep                  int
	matrixClients             []int
	rate                      float64
	arrivals                  string
	shape                     float64
	steps                     []float64
	ramp                      *rateRamp
	replay                    string
	speed                     float64
	maxConnections            int
	slo                       string
	warmup, duration, timeout time.Duration
	requests, minRequests     int64
	image, images             string
	limit                     int
	body, method              string
	traceRatio                float64
	labels                    []label
	seed                      uint64
	samples, hlog, output     string
	json, quiet               bool
	metricsAddr               string
	progress                  string
	threads                   int
	calibrate                 time.Duration
	given                     map[string]bool
}

// rateRamp is a rate that changes evenly.
type rateRamp struct{ from, to float64 }

func (o *options) open() bool {
	return o.given["rate"] || o.given["steps"] || o.given["ramp"] || o.given["replay"]
}

// endless tells that only --requests ends the run.
func (o *options) endless() bool { return o.requests > 0 && !o.given["duration"] }

func defaultOptions() *options {
	return &options{
		warmup: 2 * time.Second, duration: 10 * time.Second, timeout: 30 * time.Second,
		burstInterval: 10 * time.Second, calibrate: 250 * time.Millisecond, given: map[string]bool{},
	}
}

func parseOptions(arguments []string) (*options, error) {
	o := defaultOptions()
	flags := flag.NewFlagSet("triton_bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	o.define(flags)
	if err := flags.Parse(arguments); err != nil {
		return nil, flagError(err)
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("argument %q: belongs to no flag; expected flags only", flags.Arg(0))
	}
	flags.Visit(func(f *flag.Flag) { o.given[f.Name] = true })
	if o.client == "" {
		o.client = load.DefaultClient
		if strings.HasPrefix(o.url, "https:") {
			o.client = load.NetHTTP
		}
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	return o, o.applyMode()
}

func (o *options) define(flags *flag.FlagSet) {
	flags.StringVar(&o.url, "url", "http://127.0.0.1:9600", "")
	flags.StringVar(&o.track, "track", "", "")
	flags.StringVar(&o.client, "client", "", "")
	flags.BoolVar(&o.http2, "http2", false, "")
	flags.BoolVar(&o.insecure, "insecure", false, "")
	flags.StringVar(&o.mode, "mode", "", "")
	flags.BoolVar(&o.listModes, "list-modes", false, "")
	flags.IntVar(&o.clients, "clients", 1, "")
	flags.StringVar(&o.pattern, "load-pattern", "constant", "")
	flags.Var(seconds{&o.burstInterval}, "burst-interval", "")
	flags.IntVar(&o.rampStep, "ramp-step", 16, "")
	flags.Func("matrix-clients", "", func(text string) (err error) { o.matrixClients, err = clientList(text); return err })
	flags.Float64Var(&o.rate, "rate", 0, "")
	flags.StringVar(&o.arrivals, "arrivals", "constant", "")
	flags.Float64Var(&o.shape, "shape", 0.5, "")
	flags.Func("steps", "", func(text string) (err error) { o.steps, err = rateList(text); return err })
	flags.Func("ramp", "", func(text string) (err error) { o.ramp, err = parseRamp(text); return err })
	flags.StringVar(&o.replay, "replay", "", "")
	flags.Float64Var(&o.speed, "speed", 1, "")
	flags.IntVar(&o.maxConnections, "max-connections", 4096, "")
	flags.StringVar(&o.slo, "slo", "", "")
	flags.Var(seconds{&o.warmup}, "warmup", "")
	flags.Var(seconds{&o.duration}, "duration", "")
	flags.Var(seconds{&o.timeout}, "timeout", "")
	flags.Int64Var(&o.requests, "requests", 0, "")
	flags.Int64Var(&o.minRequests, "min-requests", 0, "")
	flags.StringVar(&o.image, "image", "", "")
	flags.StringVar(&o.images, "images", "loadtests/images", "")
	flags.IntVar(&o.limit, "limit", 0, "")
	flags.StringVar(&o.body, "body", "multipart", "")
	flags.StringVar(&o.method, "method", "POST", "")
	flags.Float64Var(&o.traceRatio, "trace-ratio", 0.01, "")
	flags.Func("label", "", o.addLabel)
	flags.Uint64Var(&o.seed, "seed", 1, "")
	flags.StringVar(&o.samples, "samples", "", "")
	flags.StringVar(&o.hlog, "hlog", "", "")
	flags.StringVar(&o.output, "output", "", "")
	flags.BoolVar(&o.json, "json", false, "")
	flags.StringVar(&o.metricsAddr, "metrics-addr", "", "")
	flags.StringVar(&o.progress, "progress", "auto", "")
	flags.BoolVar(&o.quiet, "quiet", false, "")
	flags.IntVar(&o.threads, "threads", 1, "")
	flags.Var(seconds{&o.calibrate}, "calibrate", "")
}

// seconds is a duration as the seed's commands write it: a number of seconds, or Go's syntax.
type seconds struct{ value *time.Duration }

func (s seconds) String() string { return "" }

func (s seconds) Set(text string) error {
	d, err := time.ParseDuration(text)
	if number, notNumber := strconv.ParseFloat(text, 64); notNumber == nil {
		if math.IsNaN(number) || math.Abs(number) > longestSeconds {
			return errors.New("expected a duration such as 10, 10s or 500ms")
		}
		d, err = time.Duration(math.Round(number*1e9)), nil
	}
	if err != nil || d < 0 || d > longestSeconds*time.Second {
		return errors.New("expected a duration such as 10, 10s or 500ms")
	}
	*s.value = d
	return nil
}

func clientList(text string) (list []int, err error) {
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < 1 || n > maxClients {
			return nil, fmt.Errorf("expected numbers of clients from 1 to %d, as in 1,10,50", maxClients)
		}
		list = append(list, n)
	}
	return list, nil
}

func rateList(text string) (list []float64, err error) {
	for word := range strings.SplitSeq(text, ",") {
		rate, err := strconv.ParseFloat(strings.TrimSpace(word), 64)
		if err != nil || !(rate >= 0) || rate > maxRate {
			return nil, fmt.Errorf("expected rates from 0 to %d requests a second, as in 20,40,80", maxRate)
		}
		list = append(list, rate)
	}
	return list, nil
}

func parseRamp(text string) (*rateRamp, error) {
	from, to, found := strings.Cut(text, "..")
	rates, err := rateList(from + "," + to)
	if !found || err != nil {
		return nil, fmt.Errorf("expected two rates from 0 to %d requests a second, as in 10..100", maxRate)
	}
	return &rateRamp{rates[0], rates[1]}, nil
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
	wanted := "expected a number"
	if strings.HasPrefix(text, "invalid boolean") {
		wanted = "expected nothing, true or false"
	}
	text = strings.Replace(text, "parse error", wanted, 1)
	return errors.New(text)
}
