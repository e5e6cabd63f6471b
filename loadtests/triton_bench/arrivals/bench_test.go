package arrivals

import (
	"testing"
	"time"
)

func BenchmarkNext(b *testing.B) {
	day := 24 * time.Hour
	for name, s := range map[string][]Segment{"flat": flat(10_000, 1000*day), "ramp": {{1000 * day, 9_000, 11_000}}} {
		for _, gaps := range []Gaps{{Kind: Constant}, {Kind: Poisson}, {Gamma, 0.5}, {Gamma, 4}} {
			b.Run(name+"/"+gaps.String(), func(b *testing.B) {
				a := mustPlan(b, s, gaps, 1).Arrivals()
				b.ReportAllocs()
				for b.Loop() {
					a.Next()
				}
			})
		}
	}
}
