package report

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"windtunnel/triton_bench/spoken"
)

// Print writes the summary for people. What makes it doubtful stands above the numbers.
func (s *Summary) Print(to io.Writer) {
	for i, reason := range s.Instrument.Reasons {
		fmt.Fprintf(to, "%-11s%s\n", []string{"INVALID", ""}[min(i, 1)], reason)
	}
	if !s.Instrument.Valid {
		fmt.Fprint(to, "           the numbers below are the generator's as much as the service's\n\n")
	}
	if words := s.withoutAnyOK(); words != "" {
		fmt.Fprintf(to, "NO LATENCY %s\n\n", words)
	}
	interrupted := ""
	if s.Interrupted {
		interrupted = ", interrupted"
	}
	fmt.Fprintf(to, "%s\n%s, %s s after %s s of warm-up%s, %s, seed %d\n\n",
		s.URL, s.loadInWords(), spoken.Number(s.DurationS), spoken.Number(s.WarmupS), interrupted, count(s.Images, "image"), s.Seed)
	s.printTimes(to)
	s.printSteps(to)
	s.printCounts(to)
	s.printInstrument(to)
}

func (s *Summary) loadInWords() string {
	over := "raw HTTP/1.1"
	if s.HTTP2 != nil {
		over = "net/http"
		if *s.HTTP2 {
			over += " with HTTP/2"
		}
	}
	if s.Clients != nil {
		return fmt.Sprintf("closed loop, %s over %s", count(*s.Clients, "client"), over)
	}
	return fmt.Sprintf("open loop, %s, over %s", *s.Arrivals, over)
}

// withoutAnyOK says why there is no latency: only an ok answer has one. It is empty where there was one.
func (s *Summary) withoutAnyOK() string {
	m := s.Measured
	switch {
	case m.OK > 0:
		return ""
	case m.Issued == 0:
		return "no request was due in the measured time"
	}
	return fmt.Sprintf("no request was ok, of %d", m.Issued)
}

func count[N int | int64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

const timesRow = "%-10s %10s %10s %10s %10s %10s\n"

func (s *Summary) printTimes(to io.Writer) {
	fmt.Fprintf(to, timesRow, "ms", "P50", "P95", "P99", "max", "mean")
	fmt.Fprintf(to, timesRow, append([]any{"response"}, s.ResponseMS.cells()...)...)
	fmt.Fprintf(to, timesRow, append([]any{"service"}, s.ServiceMS.cells()...)...)
}

func (s *Summary) printSteps(to io.Writer) {
	if len(s.Steps) == 0 {
		return
	}
	wide := len("response, ms")
	for _, step := range s.Steps {
		wide = max(wide, len([]rune(step.Name)))
	}
	row := fmt.Sprintf("%%-%ds %%9s %%10s %%10s %%10s %%10s %%10s %%10s\n", wide)
	fmt.Fprintf(to, "\n"+row, "response, ms", "requests", "ok/s", "P50", "P95", "P99", "max", "mean")
	for _, step := range s.Steps {
		columns := []any{step.Name, fmt.Sprint(step.Measured.Issued), number(step.ThroughputRPS, "%.1f")}
		fmt.Fprintf(to, row, append(columns, step.ResponseMS.cells()...)...)
	}
}

func (s *Summary) printCounts(to io.Writer) {
	m := s.Measured
	fmt.Fprintf(to, "\nmeasured   %d = %d ok + %s + %s + %s + %d censored\n", m.Issued, m.OK,
		count(m.HTTPError, "http error"), count(m.TransportError, "transport error"), count(m.Timeout, "timeout"), m.Censored)
	for _, name := range slices.Sorted(maps.Keys(s.Errors)) {
		fmt.Fprintf(to, "           %d %s\n", s.Errors[name], name)
	}
	for _, example := range s.examples {
		fmt.Fprintf(to, "first      %s\n", example)
	}
	fmt.Fprintf(to, "throughput %s ok a second\n", number(s.ThroughputRPS, "%.1f"))
}

func (s *Summary) printInstrument(to io.Writer) {
	i := s.Instrument
	lagP99 := i.SendLagP99MS // of every request of the measured time
	if s.Measured.Issued < needForP99 {
		lagP99 = nil
	}
	fmt.Fprintf(to, "instrument send lag P50 %s, P99 %s, max %s ms; %.2f of %d cores; %s\n",
		number(i.SendLagP50MS, "%.3f"), number(lagP99, "%.3f"), number(i.SendLagMaxMS, "%.3f"),
		i.CPUSeconds/max(i.WallSeconds, 1e-9), i.GOMAXPROCS, count(i.Connections, "connection"))
	if i.QueuedForConnection > 0 {
		fmt.Fprintf(to, "           %s waited for a free connection, which the send lag includes\n",
			count(i.QueuedForConnection, "arrival"))
	}
	if s.CeilingRPS != nil {
		fmt.Fprintf(to, "           %s of the %.0f requests a second that it reaches with a server that does nothing\n",
			number(i.AchievedRPS, "%.1f"), *s.CeilingRPS)
	}
}
