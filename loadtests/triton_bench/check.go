package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"windtunnel/triton_bench/capacity"
	"windtunnel/triton_bench/load"
)

// Bounds of what can be asked for.
const (
	maxClients = 65536
	maxRate    = 1_000_000
	// maxRequests is what a plan of random arrivals is walked through in seconds.
	maxRequests = 100_000_000
)

// check refuses flags that make no sense, alone or together.
func (o *options) check() error {
	for _, check := range []func() error{o.checkWhere, o.checkLoad, o.checkTogether, o.checkRest} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func oneOf(flag, value string, known ...string) error {
	if slices.Contains(known, value) {
		return nil
	}
	return fmt.Errorf("--%s %s: expected %s or %s", flag, value,
		strings.Join(known[:len(known)-1], ", "), known[len(known)-1])
}

func (o *options) checkWhere() error {
	if o.track != "" {
		if err := oneOf("track", o.track, append(slices.Clone(trackNames), "all")...); err != nil {
			return err
		}
	}
	if err := oneOf("client", o.client, load.Raw, load.NetHTTP); err != nil {
		return err
	}
	if o.client == load.Raw && load.DefaultClient != load.Raw {
		return errors.New("--client raw: needs Linux; expected nethttp")
	}
	if o.client == load.Raw && strings.HasPrefix(o.url, "https:") {
		return errors.New("--client raw: speaks no TLS; expected --client nethttp for https://")
	}
	if o.client == load.Raw && (o.http2 || o.insecure) {
		return errors.New("--http2 and --insecure: belong to --client nethttp; add it, or leave them out")
	}
	return oneOf("method", o.method, http.MethodPost, http.MethodGet)
}

func (o *options) checkLoad() error {
	switch {
	case o.given["rate"] && (!(o.rate > 0) || o.rate > maxRate):
		return fmt.Errorf("--rate %g: expected requests a second, over 0 and at most %d", o.rate, maxRate)
	case o.clients < 1 || o.clients > maxClients:
		return fmt.Errorf("--clients %d: expected 1 to %d", o.clients, maxClients)
	case o.rampStep < 1:
		return fmt.Errorf("--ramp-step %d: expected at least 1 client", o.rampStep)
	case o.steps != nil && slices.Max(o.steps) == 0:
		return errors.New("--steps: every rate is 0; expected one over 0")
	case o.ramp != nil && max(o.ramp.from, o.ramp.to) == 0:
		return errors.New("--ramp: both rates are 0; expected one over 0")
	case !(o.shape >= 0.001) || o.shape > 1000:
		return fmt.Errorf("--shape %g: expected a number from 0.001 to 1000", o.shape)
	case !(o.speed > 0) || o.speed > 1000:
		return fmt.Errorf("--speed %g: expected a number over 0 and at most 1000", o.speed)
	case o.maxConnections < 1 || o.maxConnections > maxClients:
		return fmt.Errorf("--max-connections %d: expected 1 to %d", o.maxConnections, maxClients)
	case o.threads < 1 || o.threads > 64:
		return fmt.Errorf("--threads %d: expected 1 to 64", o.threads)
	case o.maxConnections < o.threads:
		return fmt.Errorf("--max-connections %d: expected at least one for each of %d threads", o.maxConnections, o.threads)
	case !(o.traceRatio >= 0) || o.traceRatio > 1:
		return fmt.Errorf("--trace-ratio %g: expected a share from 0 to 1", o.traceRatio)
	case o.given["requests"] && (o.requests < 1 || o.requests > maxRequests):
		return fmt.Errorf("--requests %d: expected at least 1 and at most %d", o.requests, maxRequests)
	case o.given["min-requests"] && (o.minRequests < 1 || o.minRequests > maxRequests):
		return fmt.Errorf("--min-requests %d: expected at least 1 and at most %d", o.minRequests, maxRequests)
	case o.given["replay"] && o.replay == "":
		return errors.New("--replay: no file; expected a sample file")
	case o.limit < 0:
		return fmt.Errorf("--limit %d: expected at least 1, or 0 for all images", o.limit)
	case o.duration == 0 && !o.endless():
		return errors.New("--duration 0: nothing would be measured; expected a time such as 10s")
	case o.timeout == 0:
		return errors.New("--timeout 0: every request would be given up; expected a time such as 30s")
	}
	return nil
}

// exclusive are flags of which one at most makes sense.
var exclusive = [][]string{
	{"clients", "rate", "steps", "ramp", "replay"},
	{"mode", "rate"}, {"mode", "steps"}, {"mode", "ramp"}, {"mode", "replay"}, {"mode", "slo"},
	{"slo", "clients"}, {"slo", "steps"}, {"slo", "ramp"}, {"slo", "replay"}, {"slo", "requests"},
	{"slo", "min-requests"}, {"slo", "samples"}, {"slo", "hlog"},
	{"image", "images"}, {"requests", "min-requests"}, {"min-requests", "steps"}, {"min-requests", "ramp"},
	{"min-requests", "replay"}, {"replay", "warmup"}, {"replay", "arrivals"}, {"requests", "steps"},
	{"mode", "requests"}, {"mode", "min-requests"},
}

// needed are flags that say nothing without another, or without one of some values.
var needed = []struct{ flag, needs, why string }{
	{"max-connections", "rate steps ramp replay slo", "in a closed loop --clients is the number of connections"},
	{"arrivals", "rate steps ramp slo", "in a closed loop requests follow answers"},
	{"shape", "arrivals=gamma", "it is the shape of gamma arrivals"},
	{"speed", "replay", "it is the speed of a replay"},
	{"load-pattern", "mode=variable", "it is the pattern of that mode"},
	{"burst-interval", "load-pattern=burst", "it is the pause between bursts"},
	{"ramp-step", "load-pattern=ramp", "it is the step of a ramp"},
	{"matrix-clients", "mode=matrix mode=sustained", "they are the levels of these modes"},
	{"body", "method=POST", "a GET has none"},
	{"image", "method=POST", "a GET sends none"},
	{"images", "method=POST", "a GET sends none"},
	{"limit", "method=POST", "a GET sends no image"},
}

// has tells whether a flag is given or, of one that has a default, whether it has a value.
func (o *options) has(flag string) bool {
	name, value, valued := strings.Cut(flag, "=")
	if !valued {
		return o.given[name]
	}
	return value == map[string]string{
		"mode": o.mode, "load-pattern": o.pattern, "arrivals": o.arrivals, "method": o.method,
	}[name]
}

func (o *options) checkTogether() error {
	for _, group := range exclusive {
		var found []string
		for _, name := range group {
			if o.given[name] {
				found = append(found, "--"+name)
			}
		}
		if len(found) > 1 {
			return fmt.Errorf("%s: both given; expected one of them", strings.Join(found[:2], " and "))
		}
	}
	for _, rule := range needed {
		if o.given[rule.flag] && !slices.ContainsFunc(strings.Fields(rule.needs), o.has) {
			needs := strings.ReplaceAll(strings.ReplaceAll(rule.needs, " ", " or --"), "=", " ")
			return fmt.Errorf("--%s: given without --%s; %s", rule.flag, needs, rule.why)
		}
	}
	switch {
	case o.given["clients"] && (o.mode == "matrix" || o.mode == "sustained"):
		return fmt.Errorf("--clients: given with --mode %s; expected --matrix-clients", o.mode)
	case o.samples != "" && o.samples == o.hlog || o.samples != "" && o.samples == o.output || o.hlog != "" && o.hlog == o.output:
		return errors.New("--samples, --hlog and --output: two of them name one file; expected a file each")
	}
	return nil
}

func (o *options) checkRest() error {
	if o.slo != "" || o.given["slo"] {
		if _, err := capacity.ParseSLO(o.slo); err != nil {
			return fmt.Errorf("--slo %s: %w", o.slo, err)
		}
	}
	for _, rule := range []error{
		oneOf("body", o.body, "multipart", "raw"),
		oneOf("load-pattern", o.pattern, "constant", "burst", "ramp"),
		oneOf("arrivals", o.arrivals, "constant", "poisson", "gamma"),
		oneOf("progress", o.progress, "auto", "line", "plain", "json", "none"),
	} {
		if rule != nil {
			return rule
		}
	}
	return nil
}
