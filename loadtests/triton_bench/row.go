package main

// The stages of a request inside the service, by their names in Server-Timing and in the columns.
const stageCount = 7

var stageNames = [stageCount]string{
	"queue", "receive", "decode", "preprocess", "infer", "postprocess", "serialize",
}

// none stands for a time or a stage that was not observed; the file holds null.
const none = -1

var noStages = [stageCount]int32{none, none, none, none, none, none, none}

// A failure says why a request has no complete answer.
type failure uint8

const (
	noFailure failure = iota
	connectFailure
	resetFailure
	closedFailure
	protocolFailure
	timeoutFailure
	censoredFailure
	failureCount
)

var failureNames = [failureCount]string{
	"", "connect", "reset", "closed", "protocol", "timeout", "censored",
}

func (f failure) String() string { return failureNames[f] }

// An outcome is the one class that a request is counted in.
type outcome uint8

const (
	okOutcome outcome = iota
	httpErrorOutcome
	transportErrorOutcome
	timeoutOutcome
	censoredOutcome
	outcomeCount
)

// A row is one request. Times count from t0 on the monotonic clock.
type row struct {
	dueNS, sentNS, firstByteNS, doneNS int64
	bytesIn, bytesOut                  int64
	status, image, client              int32
	stagesUS                           [stageCount]int32
	failure                            failure
	neverSent                          bool // no connection was free until the run ended: no trace id
	trace                              [16]byte
}

func (r *row) outcome() outcome {
	switch r.failure {
	case noFailure:
		if r.status >= 200 && r.status <= 299 {
			return okOutcome
		}
		return httpErrorOutcome
	case timeoutFailure:
		return timeoutOutcome
	case censoredFailure:
		return censoredOutcome
	default:
		return transportErrorOutcome
	}
}

// accounting counts requests by outcome. issued is counted where requests are issued, the rest where
// rows are written down, so that the identity can fail when a row is lost.
type accounting struct {
	Issued         int64 `json:"issued"`
	OK             int64 `json:"ok"`
	HTTPError      int64 `json:"http_error"`
	TransportError int64 `json:"transport_error"`
	Timeout        int64 `json:"timeout"`
	Censored       int64 `json:"censored"`
}

func (a *accounting) add(o outcome) {
	switch o {
	case okOutcome:
		a.OK++
	case httpErrorOutcome:
		a.HTTPError++
	case timeoutOutcome:
		a.Timeout++
	case censoredOutcome:
		a.Censored++
	default:
		a.TransportError++
	}
}

func (a *accounting) ended() int64 {
	return a.OK + a.HTTPError + a.TransportError + a.Timeout + a.Censored
}
