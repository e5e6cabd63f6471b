package report

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"windtunnel/triton_bench/sample"
)

// BenchmarkHour takes the rows of an hour at 10,000 requests a second through everything that is made
// of them: tally, sample file and histogram log. It needs 2 GB of disk; run it alone, once:
//
//	go test ./report -run '^$' -bench Hour -benchtime 1x
func BenchmarkHour(b *testing.B) {
	const perSecond, seconds = 10_000, 3600
	for b.Loop() {
		folder := b.TempDir()
		s := endless{closedScript(64)}
		tally := NewTally(s)
		images := make([]string, 16)
		for i := range images {
			images[i] = "image-" + strconv.Itoa(i) + ".jpg"
		}
		always := func(int64) bool { return true }
		file, err := sample.Create(filepath.Join(folder, "s.parquet"), images, always)
		check(b, err)
		defer file.Discard()
		hlog, err := sample.CreateHistogramLog(filepath.Join(folder, "s.hlog"), s.StartUnixNS, always)
		check(b, err)
		defer hlog.Discard()
		random, rows := rand.New(rand.NewPCG(1, 2)), make([]sample.Row, 64)
		const total = perSecond * seconds / 64 * 64
		for n := 0; n < total; n += len(rows) {
			for i := range rows {
				rows[i] = synthetic(random, int64(n+i)*int64(time.Second/perSecond))
			}
			tally.Count(rows)
			check(b, file.Write(rows))
			check(b, hlog.Write(rows))
		}
		s.issued = total
		summary := Summarize(tally, Asked{})
		check(b, file.Finish(summary.Window, s.issued))
		check(b, hlog.Finish())
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/total, "ns/row")
		b.ReportMetric(float64(peakBytes(b))/1e6, "peak-MB")
	}
}

// An endless run measures from its first request on.
type endless struct{ *script }

func (endless) Measured(int64) bool { return true }

// synthetic is a row as a service answers: stages, a wide range of times, a failure now and then.
func synthetic(random *rand.Rand, dueNS int64) sample.Row {
	r := answered(dueNS, 2*math.Exp(random.NormFloat64()))
	r.SentNS = min(dueNS+int64(random.ExpFloat64()*30e3), r.DoneNS)
	r.Image, r.Client = random.Int32N(16), random.Int32N(64)
	for i := range r.StagesUS {
		r.StagesUS[i] = random.Int32N(3000)
	}
	binary.NativeEndian.PutUint64(r.Trace[:], random.Uint64())
	binary.NativeEndian.PutUint64(r.Trace[8:], random.Uint64())
	if random.IntN(1000) == 0 {
		r.Failure, r.DoneNS = sample.TimeoutFailure, dueNS+500e6
	}
	return r
}

func check(b *testing.B, err error) {
	if err != nil {
		b.Fatal(err)
	}
}

// peakBytes is the most memory that this process ever held, as Linux counts it.
func peakBytes(b *testing.B) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("peak memory is read from /proc")
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kilobytes, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	check(b, err)
	return kilobytes << 10
}
