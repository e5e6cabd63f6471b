package report

import (
	"strconv"
	"sync"

	"windtunnel/triton_bench/sample"
)

// A Tally is everything that is counted of a run while it is under way. One goroutine counts; others
// may look meanwhile.
type Tally struct {
	source Source
	mutex  sync.Mutex

	all, measured  sample.Accounting
	errors         map[string]int64 // of the measured time, by kind
	warmup, during times            // during: the measured time
	steps          []stepTally

	// How late arrivals were taken up, without those that waited at the limit of connections: what can
	// be said of the instrument's own pace.
	pace                     *sample.Distribution
	promptDue, promptTaken   int64 // due in the measured time, and taken up in it too
	okInWindow, sentInWindow int64 // by when they ended and were sent
	okDone                   int64 // since t0, for the live rate
	lastDoneNS               int64
}

// times are the distributions of one part of a run.
type times struct {
	response, service, lag *sample.Distribution
}

// A stepTally is what is counted of one step, by when requests were due.
type stepTally struct {
	measured          sample.Accounting
	response, service *sample.Distribution
	ok                int64 // answers that ended in the step
}

// NewTally begins to count for a run.
func NewTally(source Source) *Tally {
	t := &Tally{
		source: source, errors: map[string]int64{}, pace: sample.NewEstimate(),
		warmup: times{sample.NewEstimate(), sample.NewEstimate(), sample.NewEstimate()},
		during: times{sample.NewDistribution(), sample.NewDistribution(), sample.NewDistribution()},
	}
	for range source.Config().Steps {
		// There may be hundreds of steps, so none of them keeps its values themselves.
		t.steps = append(t.steps, stepTally{response: sample.NewEstimate(), service: sample.NewEstimate()})
	}
	return t
}

// Count adds requests that ended.
func (t *Tally) Count(rows []sample.Row) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for i := range rows {
		t.count(&rows[i])
	}
}

func (t *Tally) count(r *sample.Row) {
	o := r.Outcome()
	t.all.Add(o)
	t.lastDoneNS = max(t.lastDoneNS, r.DoneNS)
	sentInWindow := t.source.Measured(r.SentNS)
	if r.BytesOut > 0 && sentInWindow {
		t.sentInWindow++
	}
	if o == sample.OK {
		t.okDone++
		if t.source.Measured(r.DoneNS) {
			t.okInWindow++
			t.countInStep(r.DoneNS)
		}
	}
	if !t.source.Measured(r.DueNS) {
		t.warmup.lag.Add(r.SentNS-r.DueNS, false)
		t.observe(r, o, t.warmup.response, t.warmup.service)
		return
	}
	t.measured.Issued++
	t.measured.Add(o)
	if name := errorName(r, o); name != "" {
		t.errors[name]++
	}
	t.during.lag.Add(r.SentNS-r.DueNS, false)
	if !r.Waited {
		t.pace.Add(r.TakenNS-r.DueNS, false)
		t.promptDue++
		if t.source.Measured(r.TakenNS) {
			t.promptTaken++
		}
	}
	t.observe(r, o, t.during.response, t.during.service)
	if step := t.source.StepOf(r.DueNS); step >= 0 {
		t.steps[step].measured.Issued++
		t.steps[step].measured.Add(o)
		t.observe(r, o, t.steps[step].response, t.steps[step].service)
	}
}

func (t *Tally) countInStep(doneNS int64) {
	if step := t.source.StepOf(doneNS); step >= 0 {
		t.steps[step].ok++
	}
}

// observe adds a request's times. Only an answer that was asked for has a latency; a request given
// up has one of at least the time until then. Those cut short by the user say nothing and are left out.
func (t *Tally) observe(r *sample.Row, o sample.Outcome, response, service *sample.Distribution) {
	givenUp := o == sample.Timeout || o == sample.Censored
	if o != sample.OK && !givenUp || o == sample.Censored && t.source.Interrupted() {
		return
	}
	response.Add(r.DoneNS-r.DueNS, givenUp)
	if r.BytesOut > 0 {
		service.Add(r.DoneNS-r.SentNS, givenUp)
	}
}

// now is the time since t0, and 0 before the first request: a run that has not begun has no t0.
func (t *Tally) now() int64 {
	if t.source.Issued() == 0 {
		return 0
	}
	return t.source.Now()
}

// errorName is the key under which a request counts in `errors`.
func errorName(r *sample.Row, o sample.Outcome) string {
	if o == sample.HTTPError {
		return "http_" + strconv.Itoa(int(r.Status))
	}
	return r.Failure.String()
}
