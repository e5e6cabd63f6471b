package report

import (
	"testing"

	"windtunnel/triton_bench/load"
	"windtunnel/triton_bench/sample"
)

func TestARequestBelongsWhereItWasDue(t *testing.T) {
	s := closedScript(4)
	early, last := answered(0.999e9, 5), answered(10.999e9, 5)
	c := counted(s, early, answered(1e9, 5), last)
	sum := Summarize(c, Asked{})
	if sum.Measured != (sample.Accounting{Issued: 2, OK: 2}) || sum.Accounting != (sample.Accounting{Issued: 3, OK: 3}) {
		t.Errorf("measured %+v of %+v", sum.Measured, sum.Accounting)
	}
	// The first ended in the measured time and the last after it: throughput counts answers by their end.
	if got := *sum.ThroughputRPS; got != 0.2 {
		t.Errorf("throughput %g", got)
	}
}

func TestFailuresAreCountedByKindAndHaveNoLatency(t *testing.T) {
	refused := failed(3e9, 1, sample.ConnectFailure)
	refused.BytesOut = 0
	busy := answered(4e9, 1)
	busy.Status = 503
	c := counted(closedScript(4), answered(2e9, 10), refused, busy, failed(5e9, 1, sample.ResetFailure))
	sum := Summarize(c, Asked{})
	want := map[string]int64{"connect": 1, "http_503": 1, "reset": 1}
	if len(sum.Errors) != len(want) {
		t.Errorf("%v", sum.Errors)
	}
	for name, n := range want {
		if sum.Errors[name] != n {
			t.Errorf("%s: %d", name, sum.Errors[name])
		}
	}
	if r := sum.ResponseMS; *r.P50 != 10 || *r.Max != 10 || r.count != 1 {
		t.Errorf("response %+v", r)
	}
}

func TestThoseGivenUpRankAboveAllAnswersUnlessTheUserGaveThemUp(t *testing.T) {
	rows := []sample.Row{
		answered(2e9, 10), failed(3e9, 30, sample.TimeoutFailure), failed(4e9, 20, sample.CensoredFailure),
	}
	s := closedScript(1)
	if r := Summarize(counted(s, rows...), Asked{}).ResponseMS; r.P50 != nil || r.AtLeast != 2 || *r.Max != 30 {
		t.Errorf("response %+v", r)
	}
	s = closedScript(1)
	s.interrupted = true
	if r := Summarize(counted(s, rows...), Asked{}).ResponseMS; *r.P50 != 10 || r.AtLeast != 1 {
		t.Errorf("interrupted: response %+v", r)
	}
}

func TestStepsAreMadeOfTheirOwnRequests(t *testing.T) {
	s := closedScript(32, load.Step{Name: "burst 1", StartNS: 1e9, EndNS: 3e9, Clients: 32},
		load.Step{Name: "burst 2", StartNS: 6e9, EndNS: 8e9, Clients: 32})
	var rows []sample.Row
	for i := range int64(400) { // 5 ms in the first burst, 50 ms in the second
		rows = append(rows, answered(1e9+i*4_900_000, 5), answered(6e9+i*4_900_000, 50))
	}
	rows = append(rows,
		answered(2.999e9, 2000),                    // due in the first, ended in none
		answered(4e9, 7),                           // of the pause
		failed(7e9, 1000, sample.TimeoutFailure),   // its time is at least a second
		failed(7.5e9, 1, sample.ClosedFailure),     // no time at all
		answered(7.999e9, 1.1), answered(11e9, 90)) // ended after the burst; due after the measured time
	sum := Summarize(counted(s, rows...), Asked{})
	if len(sum.Steps) != 2 || sum.Measured.Issued != 805 {
		t.Fatalf("%d steps, %d requests", len(sum.Steps), sum.Measured.Issued)
	}
	one, two := sum.Steps[0], sum.Steps[1]
	if one.Measured != (sample.Accounting{Issued: 401, OK: 401}) ||
		two.Measured != (sample.Accounting{Issued: 403, OK: 401, TransportError: 1, Timeout: 1}) {
		t.Errorf("%+v\n%+v", one.Measured, two.Measured)
	}
	if *one.ResponseMS.P50 != 5 || *one.ResponseMS.P99 != 5 || *one.ResponseMS.Max != 2000 || *two.ResponseMS.P99 != 50 {
		t.Errorf("%+v\n%+v", one.ResponseMS, two.ResponseMS)
	}
	if *two.ResponseMS.Max != 1000 || two.ResponseMS.AtLeast != 1 || two.ServiceMS.count != 402 {
		t.Errorf("%+v %d", two.ResponseMS, two.ServiceMS.count)
	}
	// Three answers to the second burst came after its end.
	if *one.ThroughputRPS != 200 || *two.ThroughputRPS != 199 || *one.Clients != 32 || one.Rate != nil {
		t.Errorf("%g and %g ok a second", *one.ThroughputRPS, *two.ThroughputRPS)
	}
}

func TestAStepThatWasCutShortHasItsRealLength(t *testing.T) {
	s := closedScript(2, load.Step{StartNS: 1e9, EndNS: 5e9}, load.Step{StartNS: 5e9, EndNS: 9e9})
	s.interrupted = true
	steps := Summarize(counted(s, answered(1.5e9, 1), answered(2.998e9, 2)), Asked{}).Steps
	if steps[0].EndNS != 3e9+1 || steps[0].ThroughputRPS == nil || *steps[0].ThroughputRPS > 1 {
		t.Errorf("%+v", steps[0])
	}
	if steps[1].EndNS != steps[1].StartNS || steps[1].ThroughputRPS != nil {
		t.Errorf("%+v", steps[1])
	}
}

func TestArrivalsThatWaitedForAConnectionAreNotHeldAgainstTheInstrument(t *testing.T) {
	s := openScript(t)
	var rows []sample.Row
	for i := range int64(500) {
		rows = append(rows, answered(1e9+i*1e6, 10))
		waited := answered(2e9+i*1e6, 900)
		waited.SentNS, waited.Waited = waited.DueNS+890e6, true
		rows = append(rows, waited)
	}
	sum := Summarize(counted(s, rows...), Asked{})
	if i := sum.Instrument; !i.Valid || *i.PaceP99MS != 0.02 || *i.SendLagP99MS != 890 {
		t.Errorf("valid %t %q, pace %g ms, lag %g ms", i.Valid, i.Reasons, *i.PaceP99MS, *i.SendLagP99MS)
	}
	for i := range rows {
		rows[i].Waited = false
	}
	if i := Summarize(counted(openScript(t), rows...), Asked{}).Instrument; i.Valid || *i.PaceP99MS != 890 {
		t.Errorf("valid %t, pace %g ms", i.Valid, *i.PaceP99MS)
	}
}

func TestOpeningAConnectionIsNoExcuseForTakingAnArrivalUpLate(t *testing.T) {
	var rows []sample.Row
	for i := range int64(500) {
		row := answered(1e9+i*1e6, 60)
		row.TakenNS, row.SentNS = row.DueNS+i/5*400_000, row.DueNS+50e6 // up to 40 ms by itself
		rows = append(rows, row)
	}
	if i := Summarize(counted(openScript(t), rows...), Asked{}).Instrument; i.Valid || *i.PaceP99MS < 39 || *i.PaceP99MS > 40 {
		t.Errorf("valid %t, pace %g ms", i.Valid, *i.PaceP99MS)
	}
	for i := range rows {
		rows[i].TakenNS = rows[i].DueNS + 20_000
	}
	if i := Summarize(counted(openScript(t), rows...), Asked{}).Instrument; !i.Valid || *i.PaceP99MS != 0.02 {
		t.Errorf("valid %t %q, pace %g ms", i.Valid, i.Reasons, *i.PaceP99MS)
	}
}

func TestRequestsSentAfterTheMeasuredTimeAreMissingFromTheRate(t *testing.T) {
	var rows []sample.Row
	for i := range int64(100) {
		row := answered(10.9e9+i*1e6, 10)
		if i%2 == 0 {
			row.SentNS, row.DoneNS = 11e9+1, 11.1e9
		}
		rows = append(rows, row)
	}
	s := openScript(t)
	sum := Summarize(counted(s, rows...), Asked{})
	if sum.Instrument.Valid || *sum.Instrument.OfferedRPS != 10 || *sum.Instrument.AchievedRPS != 5 {
		t.Errorf("%+v", sum.Instrument)
	}
}
