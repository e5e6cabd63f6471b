package arrivals

import (
	"testing"
	"time"
)

func TestAPlanIsToldInWords(t *testing.T) {
	const step = 10 * time.Second
	constant := Gaps{Kind: Constant}
	var many []Segment
	for rate := range 8 {
		many = append(many, flat(float64(rate+1), time.Second)...)
	}
	for _, given := range []struct {
		want     string
		segments []Segment
		gaps     Gaps
	}{
		{"40 requests a second, poisson", append(flat(40, step), flat(40, step)...), Gaps{Kind: Poisson}},
		{"1 request a second, constant", flat(1, step), constant},
		{"1 request a second, constant", flat(1.00001, step), constant},
		{"1000000 requests a second, gamma of shape 0.5", flat(1e6, step), Gaps{Gamma, 0.5}},
		{"12345 requests a second, poisson", flat(12345.4, step), Gaps{Kind: Poisson}},
		{"123.5 requests a second, poisson", flat(123.456, step), Gaps{Kind: Poisson}},
		{"1000 requests a second, poisson", flat(999.99, step), Gaps{Kind: Poisson}},
		{"0.00001235 requests a second, poisson", flat(1.23456e-5, 1e6*time.Second), Gaps{Kind: Poisson}},
		{
			"20 requests a second for 20s, then 40 for 10s, then nothing for 10s, constant",
			[]Segment{{step, 20, 20}, {step, 20, 20}, {step, 40, 40}, {step, 0, 0}}, constant,
		},
		{
			"10 requests a second for 10s, then 10 to 100 over 10s, constant",
			[]Segment{{step, 10, 10}, {step, 10, 100}}, constant,
		},
		{"0 to 33.33 requests a second over 10s, constant", []Segment{{step, 0, 100. / 3}}, constant},
		{
			"nothing for 10s, then 5 requests a second for 10s, constant",
			[]Segment{{step, 0, 0}, {step, 5, 5}}, constant,
		},
		{
			"1 request a second for 1s, then 2 for 1s, then 3 for 1s, then 4 for 1s, then 5 for 1s, " +
				"then 6 for 1s, then 2 more parts, poisson", many, Gaps{Kind: Poisson},
		},
	} {
		if got := mustPlan(t, given.segments, given.gaps, 1).String(); got != given.want {
			t.Errorf("%q, want %q", got, given.want)
		}
	}
}
