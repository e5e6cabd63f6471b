package main

import (
	"fmt"
	"net"
	"net/url"
)

// defaultPath is where the seed's service expects images.
const defaultPath = "/predict/small"

// A target is where requests go.
type target struct {
	url  string // as it is reported
	host string // for the Host field
	dial string // host:port
	path string // path and query
}

func parseTarget(given string) (target, error) {
	u, err := url.Parse(given)
	if err != nil || u.Host == "" || u.Hostname() == "" {
		return target{}, fmt.Errorf("--url %s: not a URL; expected http://HOST[:PORT][/PATH], as in http://127.0.0.1:9600", given)
	}
	switch u.Scheme {
	case "http":
	case "https":
		return target{}, fmt.Errorf("--url %s: https is not spoken here; expected http://; "+
			"measure the service behind its TLS proxy", given)
	default:
		return target{}, fmt.Errorf("--url %s: scheme %q; expected http://", given, u.Scheme)
	}
	if u.User != nil {
		return target{}, fmt.Errorf("--url %s: holds a user name; expected none", u.Redacted())
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	if u.Path == "" {
		u.Path = defaultPath
	}
	u.Fragment = ""
	return target{url: u.String(), host: u.Host, dial: net.JoinHostPort(u.Hostname(), port), path: u.RequestURI()}, nil
}
