package capacity

import (
	"math"
	"strconv"
)

// A Kind says what a probe is for.
type Kind string

// Kinds of probes, in the order of a search.
const (
	Bracket Kind = "bracket" // doubles or halves the rate until the answer lies between two
	Bisect  Kind = "bisect"  // narrows that down to the resolution
	Confirm Kind = "confirm" // measures the answer once more, on its own
)

const (
	// backOff is the step below the answer, and below a confirmation that did not hold, at which the
	// next confirmation is made. The highest of many rates that held has had luck; a step below it
	// needs less.
	backOff = 0.95
	// mostConfirmations ends a search whose answer does not come true again.
	mostConfirmations = 5
	// mostInvalid is how often a rate is asked for before the generator counts as the limit there: once
	// may have been the machine's fault.
	mostInvalid = 2
)

// A Probe asks for requests at a rate: at least that many, measured after a warm-up.
type Probe struct {
	RateRPS     float64 `json:"rate_rps"`
	MinRequests int64   `json:"min_requests"`
	Kind        Kind    `json:"kind"`
}

// An Outcome says what came of a probe. Over are all requests that were not answered well within the
// limit: late, failed, timed out and censored. Invalid is why nothing is known of the service because
// the generator was the limit; the counts do not matter then.
type Outcome struct {
	Within, Over int64
	Invalid      string
}

// An Answer is a probe, what came of it, and the verdict on its rate from all of its answers so far.
type Answer struct {
	Probe
	Within  int64   `json:"within"`
	Over    int64   `json:"over"`
	Invalid *string `json:"invalid"` // nil unless that is the verdict
	Verdict Verdict `json:"verdict"`
}

// A Search finds the highest rate that holds an SLO: Next, Report, until Next is done, then Result.
//
// It doubles the first rate until one does not hold, or halves it until one does, and goes on between
// the two, always at their geometric mean. A rate that is unresolved is asked for again, each time
// with as many requests as it had in all, and judged by all of them together; past its budget it
// counts as one that did not hold, for where to look next but not as a failure. So does a rate at
// which the generator was the limit. Finally the answer is confirmed a step below, with twice the
// requests; a confirmation that does not hold moves one more step down.
//
// Answers may contradict each other: a rate held, and a lower one then fails. Service levels fall with
// the rate, so one of the two was chance, and the search believes the failure: no rate counts as held
// above one that failed. Noise can thus make the answer too low, and too high only by failing to
// show, in the probe as well as in the confirmation.
//
// How often it is too high depends on how long requests remember each other, which no count tells. A
// queue with one random server that takes 250 ms for 1 in 100 requests at 82 a second (M/M/1) keeps
// being late for a second or more at a time: of 200 such searches a quarter ended above 82, the worst
// by 6 %; at 382 a second it was 2 %, and with independent requests none. More ProbeRequests help.
//
// One goroutine may use it.
type Search struct {
	slo     SLO
	options Options
	answers []Answer
	now     asked
	done    bool

	low, high     float64 // highest rate that held, lowest above it that did not; 0 while there is none
	highVerdict   Verdict
	confirmations int
}

// asked is the rate that is being asked for, with what came of it so far.
type asked struct {
	rate         float64
	kind         Kind
	requests     int64 // to ask for next
	spent        int64
	budget       int64
	within, over int64
	invalid      int
}

// New begins a search. It fails for options that make no sense.
func New(slo SLO, options Options) (*Search, error) {
	options = options.filled(slo.Percentile)
	if err := options.check(slo.Percentile); err != nil {
		return nil, err
	}
	s := &Search{slo: slo, options: options}
	s.ask(options.StartRPS, Bracket)
	return s, nil
}

// Next is the probe to make now. It stays the same until its outcome is reported.
func (s *Search) Next() (probe Probe, done bool) {
	if s.done {
		return Probe{}, true
	}
	return Probe{s.now.rate, s.now.requests, s.now.kind}, false
}

// Report tells what came of the probe that Next gave. After the end of the search it does nothing.
// An outcome of fewer requests than were asked for counts as far as it goes.
func (s *Search) Report(outcome Outcome) {
	probe, done := s.Next()
	if done {
		return
	}
	verdict, settled := s.now.add(outcome, s.slo.Percentile)
	answer := Answer{Probe: probe, Within: outcome.Within, Over: outcome.Over, Verdict: verdict}
	if verdict == Invalid {
		answer.Invalid = &outcome.Invalid
	}
	s.answers = append(s.answers, answer)
	if settled {
		s.settle(verdict)
	}
}

// add is the verdict on the rate, and whether it stays; otherwise more is asked for.
func (a *asked) add(outcome Outcome, percentile float64) (verdict Verdict, settled bool) {
	if outcome.Invalid != "" {
		a.invalid++
		return Invalid, a.invalid == mostInvalid
	}
	a.within += outcome.Within
	a.over += outcome.Over
	a.spent = max(a.spent+a.requests, a.within+a.over)
	verdict = Judge(a.within, a.over, percentile)
	if verdict != Unresolved || a.spent >= a.budget {
		return verdict, true
	}
	a.requests = min(a.spent, a.budget-a.spent)
	return verdict, false
}

func (s *Search) ask(rate float64, kind Kind) {
	s.now = asked{rate: rate, kind: kind, requests: s.options.ProbeRequests, budget: s.options.ProbeBudget}
	switch kind {
	case Bracket:
		s.now.requests = s.options.bracketRequests(s.slo.Percentile)
	case Confirm:
		s.now.requests *= 2
		s.now.budget *= 2
	}
}

// settle takes the verdict on a rate and decides where to look next.
func (s *Search) settle(verdict Verdict) {
	rate := s.now.rate
	if verdict != Held {
		s.high, s.highVerdict = rate, verdict
	}
	switch {
	case s.now.kind == Confirm:
		s.confirmed(rate, verdict)
		return
	case verdict == Held:
		s.low = rate
	}
	switch o := &s.options; {
	case s.low > 0 && s.high > 0:
		s.bisect()
	case s.low == o.MaxRPS:
		s.ask(rounded(s.low*backOff), Confirm)
	case s.low > 0:
		s.ask(min(2*rate, o.MaxRPS), Bracket)
	case rate == o.MinRPS:
		s.done = true
	default:
		s.ask(max(rate/2, o.MinRPS), Bracket)
	}
}

func (s *Search) bisect() {
	middle := rounded(math.Sqrt(s.low * s.high))
	if s.high/s.low <= 1+s.options.Resolution || middle <= s.low || middle >= s.high {
		s.ask(rounded(s.low*backOff), Confirm)
		return
	}
	s.ask(middle, Bisect)
}

func (s *Search) confirmed(rate float64, verdict Verdict) {
	s.confirmations++
	if verdict == Held || s.confirmations == mostConfirmations {
		s.done = true
		return
	}
	s.ask(rounded(rate*backOff), Confirm)
}

// rounded has four digits: rates are for people to read and type again.
func rounded(rate float64) float64 {
	short, err := strconv.ParseFloat(strconv.FormatFloat(rate, 'g', 4, 64), 64)
	if err != nil {
		return rate
	}
	return short
}
