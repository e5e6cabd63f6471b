package report

import (
	"strings"
	"testing"

	"windtunnel/triton_bench/sample"
	"windtunnel/triton_bench/spoken"
)

func printed(s *Summary) string {
	var text strings.Builder
	s.Print(&text)
	return text.String()
}

// severalOK are answers to a number of requests.
func severalOK(n int) (rows []sample.Row) {
	for i := range int64(n) {
		rows = append(rows, answered(1e9+i*20e6, 10))
	}
	return rows
}

func TestSecondsAreToldWithoutAnExponent(t *testing.T) {
	for seconds, want := range map[float64]string{
		0: "0", 10: "10", 0.216: "0.216", 0.21649: "0.2165", 999.99: "1000", 1000: "1000", 3600: "3600",
		3600.4: "3600", 86400: "86400", 31_536_000: "31536000", 0.00001: "0.00001",
	} {
		if got := spoken.Number(seconds); got != want {
			t.Errorf("%g: %q, want %q", seconds, got, want)
		}
	}
	s := closedRun()
	s.DurationS, s.WarmupS = 3600, 1000
	if text := printed(s); !strings.Contains(text, ", 3600 s after 1000 s of warm-up, ") {
		t.Error(text)
	}
}

func TestOneOfAKindIsNotPlural(t *testing.T) {
	script := openScript(t)
	script.queued, script.dials = 1, 1
	httpError := answered(8e9, 10)
	httpError.Status = 503
	s := Summarize(counted(script, answered(2e9, 10), httpError, failed(8.1e9, 10, sample.ResetFailure)), Asked{})
	text := printed(s)
	for _, want := range []string{
		"3 = 1 ok + 1 http error + 1 transport error + 0 timeouts + 0 censored\n", "1 arrival waited", "; 1 connection\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestASendLagIsToldWithAsManyRequestsAsItNeeds(t *testing.T) {
	for n, want := range map[int]string{
		0: "send lag P50 -, P99 -, max - ms", 1: "send lag P50 0.020, P99 -, max 0.020 ms",
		367: "send lag P50 0.020, P99 -, max 0.020 ms", 368: "send lag P50 0.020, P99 0.020, max 0.020 ms",
	} {
		s := Summarize(counted(openScript(t), severalOK(n)...), Asked{})
		if text := printed(s); !strings.Contains(text, want) {
			t.Errorf("%d requests: no %q in\n%s", n, want, text)
		}
	}
}

func TestAServiceWithoutAnOKAnswerIsSaidToHaveNone(t *testing.T) {
	refused := answered(2e9, 10)
	refused.Status = 503
	for want, rows := range map[string][]sample.Row{
		"no request was ok, of 1\n":                 {refused},
		"no request was ok, of 2\n":                 {refused, failed(3e9, 2000, sample.TimeoutFailure)},
		"no request was due in the measured time\n": {answered(0, 10)},
	} {
		s := Summarize(counted(closedScript(8), rows...), Asked{Name: "c0008"})
		var table strings.Builder
		PrintTable(&table, []*Summary{s})
		if text := printed(s); !strings.HasPrefix(text, "NO LATENCY "+want) ||
			!strings.HasPrefix(table.String(), "NO LATENCY c0008: "+want) {
			t.Errorf("no %q in\n%s\nor in\n%s", want, text, table.String())
		}
	}
	if text := printed(closedRun()); strings.Contains(text, "NO LATENCY") {
		t.Error(text)
	}
}
