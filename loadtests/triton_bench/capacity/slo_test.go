package capacity

import (
	"strings"
	"testing"
)

func TestAnSLOIsAPercentileAndADuration(t *testing.T) {
	for text, want := range map[string]SLO{
		"p99=250ms": {99, 250e6}, "p50=1s": {50, 1e9}, "p90=1m30s": {90, 90e9}, "p95=1.5ms": {95, 1.5e6},
		"p99.9=800us": {99.9, 800e3}, " P99 = 2s ": {99, 2e9},
	} {
		got, err := ParseSLO(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
		if again, err := ParseSLO(got.String()); err != nil || again != got {
			t.Errorf("%q: told as %q, which reads as %+v, %v", text, got, again, err)
		}
	}
}

func TestATextThatIsNoSLOIsRefusedInOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"":             "no limit; expected a percentile and a duration, as in p99=250ms",
		"p99":          "no limit; expected",
		"p98=1s":       `percentile "p98"; expected p50, p90, p95, p99 or p99.9, as in p99=250ms`,
		"99=1s":        `percentile "99"; expected`,
		"mean=1s":      `percentile "mean"; expected`,
		"p99=250":      `limit "250"; expected a duration over 0 with its unit, as in p99=250ms`,
		"p99=0s":       `limit "0s"; expected`,
		"p99=-1s":      `limit "-1s"; expected`,
		"p99=":         `limit ""; expected`,
		"p99=1s,p50=2": `limit "1s,p50=2"; expected`,
	} {
		if _, err := ParseSLO(text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: error %v; want %s", text, err, want)
		}
	}
}
