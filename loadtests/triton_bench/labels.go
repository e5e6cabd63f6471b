package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"windtunnel/triton_bench/load"
)

// A label says what is measured: in loadtest_run_info, and in the baggage of requests that are traced.
type label struct{ name, value string }

var (
	// labelNames are always there, so that series are the same whatever a run was told; what was not
	// said is empty. The last two are the program's own.
	labelNames = []string{"campaign", "run", "variant", "cell", "repeat", "clients", "rate"}
	ownLabels  = labelNames[5:]
	// baggageNames are those that a service makes attributes of its spans, behind baggagePrefix.
	baggageNames = labelNames[:4]
	labelName    = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
)

const (
	baggagePrefix = "loadtest."
	// maxBaggage is what whoever forwards a baggage has to take, by W3C Baggage.
	maxBaggage = 8192
)

// addLabel takes one --label.
func (o *options) addLabel(text string) error {
	name, value, found := strings.Cut(text, "=")
	switch {
	case !found:
		return errors.New("expected NAME=VALUE, as in campaign=demo")
	case !labelName.MatchString(name) || strings.HasPrefix(name, "__"):
		return errors.New("expected a name of letters, digits and _, not beginning with a digit or __")
	case slices.Contains(ownLabels, name):
		return fmt.Errorf("expected another name; triton_bench tells %s itself", name)
	case slices.ContainsFunc(o.labels, func(l label) bool { return l.name == name }):
		return errors.New("expected each name once")
	case !utf8.ValidString(value):
		return errors.New("expected a value in UTF-8")
	}
	o.labels = append(o.labels, label{name, value})
	if size := len(o.baggage()); size > maxBaggage {
		return fmt.Errorf("makes a baggage of %d bytes; expected at most %d; shorten the values", size, maxBaggage)
	}
	return nil
}

// runLabels are all labels of one load.
func (o *options) runLabels(name string, c *load.Config) map[string]string {
	labels := map[string]string{}
	for _, name := range labelNames {
		labels[name] = ""
	}
	labels["cell"] = name // of several loads
	for _, l := range o.labels {
		labels[l.name] = l.value
	}
	if c.Open() {
		labels["rate"] = c.Rate
	} else {
		labels["clients"] = fmt.Sprint(c.Clients)
	}
	return labels
}

// baggage is what the labels say to a service that traces, as a header's value; empty without any.
func (o *options) baggage() string {
	var members []string
	for _, name := range baggageNames {
		for _, l := range o.labels {
			if l.name == name && l.value != "" {
				members = append(members, baggagePrefix+name+"="+percentEncoded(l.value))
			}
		}
	}
	return strings.Join(members, ",")
}

// percentEncoded leaves only what RFC 3986 calls unreserved. W3C Baggage lets more stand, such as the
// plus sign, which some that read it take for a space.
func percentEncoded(text string) string {
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	var encoded strings.Builder
	for _, b := range []byte(text) {
		if strings.IndexByte(unreserved, b) >= 0 {
			encoded.WriteByte(b)
		} else {
			fmt.Fprintf(&encoded, "%%%02X", b)
		}
	}
	return encoded.String()
}
