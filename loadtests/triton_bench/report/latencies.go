package report

import (
	"fmt"
	"strings"

	"windtunnel/triton_bench/sample"
)

// The smallest numbers of requests for which a 95 % interval of the percentile exists; with fewer the
// percentile is not reported.
const (
	needForP50 = 1
	needForP95 = 72
	needForP99 = 368
)

// Latencies holds percentiles of answered requests, in milliseconds. Those given up rank above them
// and count in mean and max with the time until then; AtLeast says how many they are. What too few
// requests support, or what falls among those given up, is nil.
type Latencies struct {
	P50     *float64 `json:"p50"`
	P95     *float64 `json:"p95"`
	P99     *float64 `json:"p99"`
	Max     *float64 `json:"max"`
	Mean    *float64 `json:"mean"`
	AtLeast int64    `json:"at_least"`

	count int64
}

func latencies(d *sample.Distribution) Latencies {
	l := Latencies{AtLeast: d.AtLeast(), count: d.Total()}
	if l.count == 0 {
		return l
	}
	l.Max, l.Mean = milliseconds(float64(d.MaxNS())), milliseconds(d.SumNS()/float64(l.count))
	l.P50 = percentileMS(d, 0.50, needForP50)
	l.P95 = percentileMS(d, 0.95, needForP95)
	l.P99 = percentileMS(d, 0.99, needForP99)
	return l
}

func percentileMS(d *sample.Distribution, p float64, need int64) *float64 {
	if d.Total() < need {
		return nil
	}
	if ns, ok := d.Percentile(p); ok {
		return milliseconds(float64(ns))
	}
	return nil
}

func milliseconds(ns float64) *float64 {
	ms := ns / 1e6
	return &ms
}

func perSecond(count int64, seconds float64) *float64 {
	rate := float64(count) / seconds
	return &rate
}

// cell tells a percentile that has too few requests from one that falls among those given up.
func (l Latencies) cell(value *float64, need int64) string {
	if value == nil && l.count >= need && l.count > 0 {
		return "given up"
	}
	return number(value, "%.3f")
}

// cells are the columns of a table for people.
func (l Latencies) cells() []any {
	return []any{
		l.cell(l.P50, needForP50), l.cell(l.P95, needForP95), l.cell(l.P99, needForP99),
		number(l.Max, "%.3f"), number(l.Mean, "%.3f"),
	}
}

func number(value *float64, format string) string {
	if value == nil {
		return "-"
	}
	return strings.TrimSpace(fmt.Sprintf(format, *value))
}
