package report

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"windtunnel/triton_bench/sample"
)

func served(t *testing.T, tally *Tally, labels map[string]string) *Exporter {
	t.Helper()
	e, err := Serve("127.0.0.1:0", tally, labels)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func scraped(t *testing.T, e *Exporter) map[string]*dto.MetricFamily {
	t.Helper()
	answer, err := http.Get(e.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %v", answer.StatusCode, err)
	}
	return families
}

// value is that of the metric whose labels include the given ones.
func value(t *testing.T, families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	t.Helper()
	for _, metric := range families[name].GetMetric() {
		found := 0
		for _, pair := range metric.GetLabel() {
			for i := 0; i < len(labels); i += 2 {
				if pair.GetName() == labels[i] && pair.GetValue() == labels[i+1] {
					found++
				}
			}
		}
		if 2*found == len(labels) {
			return metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	t.Errorf("no %s%v", name, labels)
	return -1
}

func TestTheMetricsAreWhatWasCounted(t *testing.T) {
	s := openScript(t)
	s.inFlight, s.queued, s.dials = 3, 5, 8
	tally := counted(s, answered(0.5e9, 5), answered(1.5e9, 12), answered(1.6e9, 0.9),
		failed(1.7e9, 30_000, sample.TimeoutFailure), failed(1.8e9, 1, sample.ResetFailure))
	e := served(t, tally, map[string]string{"campaign": "c", "run": "r", "cell": "baseline c0008"})
	s.nowNS.Store(2e9 - 1)
	families := scraped(t, e)
	for name, want := range map[string]float64{
		"loadtest_issued_total": 5, "loadtest_offered_total": 2000, "loadtest_in_flight": 3,
		"loadtest_queued_total": 5, "loadtest_connections_total": 8,
	} {
		if got := value(t, families, name); got != want {
			t.Errorf("%s %g, want %g", name, got, want)
		}
	}
	for outcome, want := range map[string]float64{
		"ok": 3, "timeout": 1, "transport_error": 1, "http_error": 0, "censored": 0,
	} {
		if got := value(t, families, "loadtest_requests_total", "outcome", outcome); got != want {
			t.Errorf("%s %g, want %g", outcome, got, want)
		}
	}
	if value(t, families, "loadtest_run_info", "campaign", "c", "run", "r", "cell", "baseline c0008") != 1 {
		t.Error("not measuring")
	}
	if value(t, families, "process_cpu_seconds_total") < 0 {
		t.Error("no CPU time")
	}
	response := families["loadtest_response_seconds"].GetMetric()[0].GetHistogram()
	sum := response.GetSampleSum()
	if len(response.GetBucket()) != 24 || response.GetSampleCount() != 4 || sum < 30.017 || sum > 30.019 {
		t.Errorf("%d buckets of %d in %g s", len(response.GetBucket()), response.GetSampleCount(), sum)
	}
	for _, bucket := range response.GetBucket() {
		want := uint64(0)
		for _, seconds := range []float64{0.0009, 0.005, 0.012} {
			if seconds < bucket.GetUpperBound() {
				want++
			}
		}
		if bucket.GetUpperBound() < 11 && bucket.GetCumulativeCount() != want { // the one given up is only in +Inf
			t.Errorf("up to %g s: %d, want %d", bucket.GetUpperBound(), bucket.GetCumulativeCount(), want)
		}
	}
	if lag := families["loadtest_send_lag_seconds"].GetMetric()[0].GetHistogram(); lag.GetSampleCount() != 5 {
		t.Errorf("send lag of %d requests", lag.GetSampleCount())
	}
}

func TestARunThatHasNotBegunOffersNothingAndOneThatIsOverNoMore(t *testing.T) {
	s := openScript(t)
	s.nowNS.Store(1 << 62) // a run without t0
	e := served(t, NewTally(s), nil)
	offered := func() float64 {
		families := scraped(t, e)
		if value(t, families, "loadtest_run_info") != 0 {
			t.Error("said to be measuring")
		}
		return value(t, families, "loadtest_offered_total")
	}
	if got := offered(); got > 1 {
		t.Errorf("%g arrivals before the run", got)
	}
	s.issued = 1
	if got := offered(); got != 11_000 {
		t.Errorf("%g arrivals in all", got)
	}
}

func TestAClosedLoopOffersNothing(t *testing.T) {
	families := scraped(t, served(t, counted(closedScript(3), answered(2e9, 3)), nil))
	if families["loadtest_offered_total"] != nil || value(t, families, "loadtest_issued_total") != 1 {
		t.Error("a closed loop has no schedule")
	}
}

// The race detector watches this one: a scrape goes through the tally while rows are counted.
func TestScrapesWhileCounting(t *testing.T) {
	s := openScript(t)
	s.issued = 1
	tally := NewTally(s)
	e := served(t, tally, nil)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for i := range int64(2000) {
			s.nowNS.Store(i * 5e6)
			tally.Count([]sample.Row{answered(i*5e6, 3), answered(i*5e6, 4)})
		}
	}()
	before := 0.0
	for range 10 {
		families := scraped(t, e)
		now := value(t, families, "loadtest_requests_total", "outcome", "ok")
		if now < before {
			t.Errorf("%g after %g", now, before)
		}
		before = now
	}
	<-over
}

func TestAnAddressThatCannotBeServedIsSaid(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	tally := NewTally(closedScript(1))
	for _, address := range []string{taken.Addr().String(), "nonsense"} {
		_, err := Serve(address, tally, nil)
		if err == nil || !strings.HasPrefix(err.Error(), "--metrics-addr "+address+": ") {
			t.Errorf("%v", err)
		}
	}
	if _, err := Serve("127.0.0.1:0", tally, map[string]string{"": "x"}); err == nil {
		t.Error("took a label without a name")
	}
}

func TestAnExporterThatIsClosedAnswersNoMore(t *testing.T) {
	e, err := Serve("127.0.0.1:0", NewTally(closedScript(1)), nil)
	if err != nil {
		t.Fatal(err)
	}
	scraped(t, e)
	begun := time.Now()
	if err := e.Close(); err != nil || time.Since(begun) > 3*time.Second {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
	if answer, err := http.Get(e.URL()); err == nil {
		answer.Body.Close()
		t.Error("still there")
	}
}
