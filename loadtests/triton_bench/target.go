package main

import (
	"fmt"
	"net"
	"net/url"

	"windtunnel/triton_bench/load"
)

// defaultPath is where the seed's service expects images.
const defaultPath = "/predict/small"

// trackPaths are where each track is served, for --track.
var trackPaths = map[string]string{
	"A":           "/pytorch/predict/small",
	"B":           "/predict/small",
	"C":           "/predict/small_end2end",
	"D":           "/predict/small_gpu_e2e",
	"D_streaming": "/predict/small_gpu_e2e_streaming",
	"D_batch":     "/predict/small_gpu_e2e_batch",
}

// trackNames is the order in which --track all goes through them.
var trackNames = []string{"A", "B", "C", "D", "D_streaming", "D_batch"}

// parseTarget reads --url; path takes the place of an empty one.
func parseTarget(given, path string) (load.Target, error) {
	u, err := url.Parse(given)
	if err != nil || u.Host == "" || u.Hostname() == "" {
		return load.Target{}, fmt.Errorf(
			"--url %s: not a URL; expected http://HOST[:PORT][/PATH], as in http://127.0.0.1:9600", given)
	}
	port := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	if port == "" {
		return load.Target{}, fmt.Errorf("--url %s: scheme %q; expected http:// or https://", given, u.Scheme)
	}
	if u.User != nil {
		return load.Target{}, fmt.Errorf("--url %s: holds a user name; expected none", u.Redacted())
	}
	if u.Port() != "" {
		port = u.Port()
	}
	if u.Path == "" || u.Path == "/" && path != defaultPath {
		u.Path = path
	}
	u.Fragment = ""
	return load.Target{
		URL: u.String(), Scheme: u.Scheme, Host: u.Host,
		Dial: net.JoinHostPort(u.Hostname(), port), Path: u.RequestURI(),
	}, nil
}

// targets are where the load goes: what --url says or, with --track, one or all of the tracks there.
func targets(o *options) (names []string, found []load.Target, err error) {
	names = []string{""}
	if o.track == "all" {
		names = trackNames
	} else if o.track != "" {
		names = []string{o.track}
	}
	for _, name := range names {
		path := defaultPath
		if name != "" {
			path = trackPaths[name]
		}
		target, err := parseTarget(o.url, path)
		if err != nil {
			return nil, nil, err
		}
		if name != "" && target.Path != path {
			return nil, nil, fmt.Errorf("--track %s: --url %s has a path of its own; expected one of the two", name, o.url)
		}
		found = append(found, target)
	}
	return names, found, nil
}
