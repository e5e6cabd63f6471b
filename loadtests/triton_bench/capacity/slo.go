// Package capacity searches for the highest rate at which a service holds a service level objective
// (SLO). It is pure: it says which rate to try next and with how many requests, is told what came of
// it, and never sends anything or looks at a clock.
package capacity

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// percentiles are those that an SLO may be about.
var percentiles = map[string]float64{"p50": 50, "p90": 90, "p95": 95, "p99": 99, "p99.9": 99.9}

// An SLO is a limit on a percentile of the response time: that many percent of all requests have to
// be answered well within LimitNS, in nanoseconds from when they were due.
type SLO struct {
	Percentile float64
	LimitNS    int64
}

// ParseSLO reads an SLO such as p99=250ms: p50, p90, p95, p99 or p99.9, and a duration over 0 in the
// syntax of Go.
func ParseSLO(text string) (SLO, error) {
	name, limit, found := strings.Cut(text, "=")
	if !found {
		return SLO{}, errors.New("no limit; expected a percentile and a duration, as in p99=250ms")
	}
	percentile, known := percentiles[strings.ToLower(strings.TrimSpace(name))]
	if !known {
		return SLO{}, fmt.Errorf("percentile %q; expected p50, p90, p95, p99 or p99.9, as in p99=250ms", name)
	}
	length, err := time.ParseDuration(strings.TrimSpace(limit))
	if err != nil || length <= 0 {
		return SLO{}, fmt.Errorf("limit %q; expected a duration over 0 with its unit, as in p99=250ms", limit)
	}
	return SLO{percentile, int64(length)}, nil
}

// String is what ParseSLO reads.
func (s SLO) String() string {
	return fmt.Sprintf("p%s=%s", strconv.FormatFloat(s.Percentile, 'f', -1, 64), time.Duration(s.LimitNS))
}
