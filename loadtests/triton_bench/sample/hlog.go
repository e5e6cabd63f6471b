package sample

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Tags of the histogram log. A measured request is counted once in sendLagTag, and once in either
// responseTag or failedTag.
const (
	responseTag = iota // due to last byte, of ok answers
	serviceTag         // sent to last byte, of ok answers
	sendLagTag         // due to sent, of all requests
	failedTag          // due to the failure or until it was given up, of all that are not ok
	tagCount
)

var tagNames = [tagCount]string{"response", "service", "send_lag", "failed"}

// Geometry of the histograms, in nanoseconds as HdrHistogram's tools expect: up to a day, to three
// significant digits, of a send lag of microseconds too. What takes longer is counted as a day.
const (
	lowestNS          = 1
	highestNS         = 24 * int64(time.Hour)
	significantDigits = 3
)

const secondNS = int64(time.Second)

// A HistogramLog is the log of HdrHistogram (format 1.3, V2 histograms) that its own tools read: a
// line for each second and tag, of the requests that ended in that second. It holds the measured
// time only, so that the sum over a tag is what the summary reports. A second in which no request of
// a tag ended has no line: an empty histogram would be drawn as a time of zero. It is used by one
// goroutine.
type HistogramLog struct {
	*partial
	log         *hdrhistogram.HistogramLogWriter
	startUnixNS func() int64
	measured    func(dueNS int64) bool
	begun       bool
	// Lanes hand their rows over up to 200 ms late, so the second before the newest stays open.
	open   [2]interval
	newest int64 // the latest second that has begun
}

type interval struct {
	second int64
	tags   [tagCount]*hdrhistogram.Histogram
}

// CreateHistogramLog begins a log beside its name. startUnixNS is t0 on the wall clock, asked for when
// the first rows come; measured tells by its due time whether a request belongs to the measured time.
func CreateHistogramLog(path string, startUnixNS func() int64, measured func(dueNS int64) bool) (*HistogramLog, error) {
	p, err := createPartial("--hlog", path)
	if err != nil {
		return nil, err
	}
	l := &HistogramLog{partial: p, startUnixNS: startUnixNS, measured: measured}
	l.log = hdrhistogram.NewHistogramLogWriter(p.buffer)
	for i := range l.open {
		for tag := range l.open[i].tags {
			histogram := hdrhistogram.New(lowestNS, highestNS, significantDigits)
			histogram.SetTag(tagNames[tag])
			l.open[i].tags[tag] = histogram
		}
	}
	return l, nil
}

// Write counts rows, and writes the seconds that are over.
func (l *HistogramLog) Write(rows []Row) error {
	for i := range rows {
		if row := &rows[i]; l.measured(row.DueNS) {
			if err := l.record(row); err != nil {
				return l.failed(err)
			}
		}
	}
	return nil
}

func (l *HistogramLog) record(r *Row) error {
	second := r.DoneNS / secondNS
	if second > l.newest {
		if err := l.writeBefore(second - 1); err != nil {
			return err
		}
		l.newest = second
	}
	second = max(second, l.newest-1) // a row that is late all the same is not lost
	to := &l.open[second%2]
	to.second = second
	if err := to.record(sendLagTag, r.SentNS-r.DueNS); err != nil {
		return err
	}
	if r.Outcome() != OK {
		return to.record(failedTag, r.DoneNS-r.DueNS)
	}
	if err := to.record(serviceTag, r.DoneNS-r.SentNS); err != nil {
		return err
	}
	return to.record(responseTag, r.DoneNS-r.DueNS)
}

func (i *interval) record(tag int, ns int64) error {
	return i.tags[tag].RecordValue(min(max(ns, 0), highestNS))
}

// writeBefore writes the open seconds before the given one, the earlier first.
func (l *HistogramLog) writeBefore(second int64) error {
	for s := l.newest - 1; s <= l.newest && s < second; s++ {
		if s < 0 {
			continue
		}
		if err := l.write(&l.open[s%2], s); err != nil {
			return err
		}
	}
	return nil
}

func (l *HistogramLog) write(i *interval, second int64) error {
	if err := l.begin(); err != nil {
		return err
	}
	for tag, histogram := range i.tags {
		if histogram.TotalCount() == 0 {
			continue
		}
		histogram.SetStartTimeMs(second * 1000)
		histogram.SetEndTimeMs((second + 1) * 1000)
		if err := l.log.OutputIntervalHistogram(histogram); err != nil {
			return err
		}
		histogram.Reset() // the name too
		histogram.SetTag(tagNames[tag])
	}
	return nil
}

// begin writes the head, once. The library's own lines for the times leave out the milliseconds.
func (l *HistogramLog) begin() error {
	if l.begun {
		return nil
	}
	l.begun = true
	start := time.Unix(0, l.startUnixNS()).UTC()
	seconds := fmt.Sprintf("%d.%03d", start.Unix(), start.Nanosecond()/int(time.Millisecond))
	for _, comment := range []string{
		"[windtunnel triton_bench: nanoseconds; the measured time only]",
		"[response: due to last byte, of ok answers; service: sent to last byte, of the same]",
		"[send_lag: due to sent, of all; failed: due to the failure or until given up, of all not ok]",
		"[Histogram log format version " + hdrhistogram.HISTOGRAM_LOG_FORMAT_VERSION + "]",
		"[BaseTime: " + seconds + " (seconds since epoch)]",
		"[StartTime: " + seconds + " (seconds since epoch), " + start.Format(time.RFC3339) + "]",
	} {
		if err := l.log.OutputComment(comment); err != nil {
			return err
		}
	}
	return l.log.OutputLegend()
}

// Finish writes the last seconds and completes the log.
func (l *HistogramLog) Finish() error {
	if err := l.begin(); err != nil {
		return l.failed(err)
	}
	if err := l.writeBefore(l.newest + 1); err != nil {
		return l.failed(err)
	}
	return l.finish()
}
