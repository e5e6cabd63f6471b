package report

import (
	"fmt"
	"io"
)

// PrintTable writes one line for each of several loads, for people. What makes one doubtful stands
// above the numbers.
func PrintTable(to io.Writer, runs []*Summary) {
	wide := len("response, ms")
	for _, s := range runs {
		wide = max(wide, len([]rune(s.title())))
		for _, reason := range s.Instrument.Reasons {
			fmt.Fprintf(to, "INVALID    %s: %s\n", s.title(), reason)
		}
		if words := s.withoutAnyOK(); words != "" {
			fmt.Fprintf(to, "NO LATENCY %s: %s\n", s.title(), words)
		}
	}
	row := fmt.Sprintf("%%-%ds %%9s %%9s %%10s %%10s %%10s %%10s %%10s %%10s\n", wide)
	fmt.Fprintf(to, row, "response, ms", "requests", "not ok", "ok/s", "P50", "P95", "P99", "max", "mean")
	for _, s := range runs {
		m := s.Measured
		columns := []any{s.title(), fmt.Sprint(m.Issued), fmt.Sprint(m.Issued - m.OK), number(s.ThroughputRPS, "%.1f")}
		fmt.Fprintf(to, row, append(columns, s.ResponseMS.cells()...)...)
	}
}

// title is the load's name, or what it is when it has none.
func (s *Summary) title() string {
	switch {
	case s.Name != "":
		return s.Name
	case s.Clients != nil:
		return count(*s.Clients, "client")
	}
	return *s.Arrivals
}
