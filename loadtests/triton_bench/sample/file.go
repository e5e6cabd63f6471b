package sample

import (
	"encoding/hex"
	"encoding/json"
	"unsafe"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// Version is the format that loadtests/samples.py reads.
const Version = "1"

// Keys of the file's metadata.
const (
	versionKey    = "windtunnel.samples"
	windowKey     = "windtunnel.window"
	accountingKey = "windtunnel.accounting"
)

const (
	// rowsPerGroup bounds what is held in memory before it is written.
	rowsPerGroup = 1 << 16
	// rowsAtOnce is how many rows are converted before they are handed to the Parquet writer.
	rowsAtOnce = 64
)

// A record is a row as the file holds it; names, order and types are those of loadtests/samples.py.
type record struct {
	Due         int64  `parquet:"due_ns,delta"`
	Sent        int64  `parquet:"sent_ns,delta"`
	FirstByte   *int64 `parquet:"first_byte_ns,optional"`
	Done        int64  `parquet:"done_ns,delta"`
	Status      int32  `parquet:"status"`
	Error       string `parquet:"error,dict"`
	BytesIn     int64  `parquet:"bytes_in"`
	BytesOut    int64  `parquet:"bytes_out"`
	Image       string `parquet:"image,dict"`
	Client      int32  `parquet:"client"`
	Queue       *int32 `parquet:"stage_queue_us,optional"`
	Receive     *int32 `parquet:"stage_receive_us,optional"`
	Decode      *int32 `parquet:"stage_decode_us,optional"`
	Preprocess  *int32 `parquet:"stage_preprocess_us,optional"`
	Infer       *int32 `parquet:"stage_infer_us,optional"`
	Postprocess *int32 `parquet:"stage_postprocess_us,optional"`
	Serialize   *int32 `parquet:"stage_serialize_us,optional"`
	TraceID     string `parquet:"trace_id,optional"`
	Phase       string `parquet:"phase,dict"`
}

// A File is the Parquet file of all rows. It is used by one goroutine.
type File struct {
	*partial
	rows      *parquet.GenericWriter[record]
	images    []string
	measured  func(dueNS int64) bool
	counted   Accounting
	records   []record
	hexDigits []byte // trace ids of the records, as text
	inGroup   int
}

// Create begins a file beside its name. images are the names that Row.Image counts; measured tells
// by its due time whether a request belongs to the measured time.
func Create(path string, images []string, measured func(dueNS int64) bool) (*File, error) {
	p, err := createPartial("--samples", path)
	if err != nil {
		return nil, err
	}
	f := &File{partial: p, images: images, measured: measured}
	f.records = make([]record, rowsAtOnce)
	f.hexDigits = make([]byte, 32*rowsAtOnce)
	f.rows = parquet.NewGenericWriter[record](p.buffer,
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}),
		parquet.CreatedBy("windtunnel triton_bench", Version, ""),
		parquet.DataPageStatistics(false))
	return f, nil
}

// Write appends rows. After an error the file cannot be completed.
func (f *File) Write(rows []Row) error {
	for len(rows) > 0 {
		now := rows[:min(len(rows), rowsAtOnce)]
		rows = rows[len(now):]
		for i := range now {
			f.counted.Add(now[i].Outcome())
			f.convert(&f.records[i], &now[i], f.hexDigits[32*i:32*i+32])
		}
		if _, err := f.rows.Write(f.records[:len(now)]); err != nil {
			return f.failed(err)
		}
		if f.inGroup += len(now); f.inGroup >= rowsPerGroup {
			f.inGroup = 0
			if err := f.rows.Flush(); err != nil {
				return f.failed(err)
			}
		}
	}
	return nil
}

// convert points into row and hexDigits instead of copying: both outlive the Write that follows.
func (f *File) convert(to *record, r *Row, hexDigits []byte) {
	*to = record{
		Due: r.DueNS, Sent: r.SentNS, Done: r.DoneNS, Status: r.Status, Error: r.Failure.String(),
		BytesIn: r.BytesIn, BytesOut: r.BytesOut, Image: f.images[r.Image], Client: r.Client,
		Queue: observed(&r.StagesUS[0]), Receive: observed(&r.StagesUS[1]), Decode: observed(&r.StagesUS[2]),
		Preprocess: observed(&r.StagesUS[3]), Infer: observed(&r.StagesUS[4]),
		Postprocess: observed(&r.StagesUS[5]), Serialize: observed(&r.StagesUS[6]), Phase: "warmup",
	}
	if r.FirstByteNS != None {
		to.FirstByte = &r.FirstByteNS
	}
	if f.measured(r.DueNS) {
		to.Phase = "measure"
	}
	if !r.NeverSent {
		hex.Encode(hexDigits, r.Trace[:])
		to.TraceID = unsafe.String(&hexDigits[0], len(hexDigits))
	}
}

func observed(us *int32) *int32 {
	if *us == None {
		return nil
	}
	return us
}

// Finish completes the file. issued is the number of requests that the run began: with it, and with
// what was counted as rows were written, a reader can see that none is missing.
func (f *File) Finish(w Window, issued int64) error {
	window, err := json.Marshal(w)
	if err != nil {
		return f.failed(err)
	}
	f.counted.Issued = issued
	accounting, err := json.Marshal(f.counted)
	if err != nil {
		return f.failed(err)
	}
	f.rows.SetKeyValueMetadata(versionKey, Version)
	f.rows.SetKeyValueMetadata(windowKey, string(window))
	f.rows.SetKeyValueMetadata(accountingKey, string(accounting))
	if err := f.rows.Close(); err != nil {
		return f.failed(err)
	}
	return f.finish()
}
