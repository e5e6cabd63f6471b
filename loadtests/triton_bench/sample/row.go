// Package sample holds what is known of a request, and writes it down: the row, its outcome, the
// Parquet file that loadtests/samples.py reads, the histogram log that other tools read, and
// distributions of times in bounded memory.
package sample

// StageCount is the number of stages of a request inside the service.
const StageCount = 7

// StageNames are the stages' names in Server-Timing and in the columns, in the order of a request.
var StageNames = [StageCount]string{
	"queue", "receive", "decode", "preprocess", "infer", "postprocess", "serialize",
}

// None stands for a time or a stage that was not observed; the file holds null.
const None = -1

// NoStages is a row's stages before its answer was read.
var NoStages = [StageCount]int32{None, None, None, None, None, None, None}

// A Failure says why a request has no complete answer.
type Failure uint8

// The failures, in the order of how far a request came; NoFailure is a complete answer.
const (
	NoFailure Failure = iota
	ConnectFailure
	ResetFailure
	ClosedFailure
	ProtocolFailure
	TimeoutFailure
	CensoredFailure
	FailureCount
)

var failureNames = [FailureCount]string{
	"", "connect", "reset", "closed", "protocol", "timeout", "censored",
}

// String is the failure as the file's column `error` holds it.
func (f Failure) String() string { return failureNames[f] }

// An Outcome is the one class that a request is counted in.
type Outcome uint8

// The outcomes, as loadtests/samples.py derives them from status and error.
const (
	OK Outcome = iota
	HTTPError
	TransportError
	Timeout
	Censored
	OutcomeCount
)

var outcomeNames = [OutcomeCount]string{"ok", "http_error", "transport_error", "timeout", "censored"}

// String is the outcome's name in the summary, the metrics and loadtests/samples.py.
func (o Outcome) String() string { return outcomeNames[o] }

// A Row is one request. Times count from t0 on the monotonic clock.
type Row struct {
	DueNS, SentNS, FirstByteNS, DoneNS int64 // FirstByteNS may be None
	BytesIn, BytesOut                  int64
	Status, Image, Client              int32 // Image is an index; Client None if it was never sent
	StagesUS                           [StageCount]int32
	Failure                            Failure
	NeverSent                          bool // no connection was free until the run ended: no trace id
	// TakenNS is when the instrument turned to the request: just before it was written or, where a
	// connection had to be opened first, before that. From when it was due until then it was late by
	// itself, and by nothing that the service did.
	TakenNS int64
	// Waited tells that at the limit of connections none was free when the request was due, so that it
	// was taken up late through no fault of the instrument.
	Waited bool
	Trace  [16]byte
}

// Outcome derives the class that the row is counted in.
func (r *Row) Outcome() Outcome {
	switch r.Failure {
	case NoFailure:
		if r.Status >= 200 && r.Status <= 299 {
			return OK
		}
		return HTTPError
	case TimeoutFailure:
		return Timeout
	case CensoredFailure:
		return Censored
	default:
		return TransportError
	}
}

// An Accounting counts requests by outcome. Issued is counted where requests are issued, the rest
// where rows are written down, so that the identity can fail when a row is lost.
type Accounting struct {
	Issued         int64 `json:"issued"`
	OK             int64 `json:"ok"`
	HTTPError      int64 `json:"http_error"`
	TransportError int64 `json:"transport_error"`
	Timeout        int64 `json:"timeout"`
	Censored       int64 `json:"censored"`
}

// Add counts one request that ended.
func (a *Accounting) Add(o Outcome) { *a.of(o)++ }

// Of is the number of requests of an outcome.
func (a *Accounting) Of(o Outcome) int64 { return *a.of(o) }

func (a *Accounting) of(o Outcome) *int64 {
	return [OutcomeCount]*int64{&a.OK, &a.HTTPError, &a.TransportError, &a.Timeout, &a.Censored}[o]
}

// Ended counts the requests of all outcomes; it equals Issued when the run is over.
func (a *Accounting) Ended() int64 {
	return a.OK + a.HTTPError + a.TransportError + a.Timeout + a.Censored
}

// A Window is when was measured: t0 on the wall clock, and the measured time on the rows' clock.
type Window struct {
	StartUnixNS    int64 `json:"start_unix_ns"`
	MeasureStartNS int64 `json:"measure_start_ns"`
	MeasureEndNS   int64 `json:"measure_end_ns"`
}
