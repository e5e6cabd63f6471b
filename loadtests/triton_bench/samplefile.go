package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// samplesVersion is the format that loadtests/samples.py reads.
const samplesVersion = "1"

// rowsPerGroup bounds what is held in memory before it is written.
const rowsPerGroup = 1 << 16

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

// window is the file's note of when was measured.
type window struct {
	StartUnixNS    int64 `json:"start_unix_ns"`
	MeasureStartNS int64 `json:"measure_start_ns"`
	MeasureEndNS   int64 `json:"measure_end_ns"`
}

// A sampleFile grows beside its final name and takes it only when it is complete.
type sampleFile struct {
	path      string
	partial   *os.File
	buffer    *bufio.Writer
	rows      *parquet.GenericWriter[record]
	run       *run
	records   []record
	hexDigits []byte // trace ids of the records, as text
	inGroup   int
	complete  bool
}

func createSampleFile(path string, r *run) (*sampleFile, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, fmt.Errorf("--samples %s: is a folder; expected a file name", path)
	}
	partial, err := os.Create(path + ".partial")
	if err != nil {
		return nil, fmt.Errorf("--samples %s: %w; expected a file name in a folder that can be written to", path, err)
	}
	f := &sampleFile{path: path, partial: partial, buffer: bufio.NewWriterSize(partial, 256<<10), run: r}
	f.records = make([]record, len(chunk{}.rows))
	f.hexDigits = make([]byte, 32*len(f.records))
	f.rows = parquet.NewGenericWriter[record](f.buffer,
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}),
		parquet.CreatedBy("windtunnel triton_bench", samplesVersion, ""),
		parquet.DataPageStatistics(false))
	return f, nil
}

func (f *sampleFile) write(rows []row) error {
	for i := range rows {
		f.convert(&f.records[i], &rows[i], f.hexDigits[32*i:32*i+32])
	}
	if _, err := f.rows.Write(f.records[:len(rows)]); err != nil {
		return f.failed(err)
	}
	if f.inGroup += len(rows); f.inGroup >= rowsPerGroup {
		f.inGroup = 0
		if err := f.rows.Flush(); err != nil {
			return f.failed(err)
		}
	}
	return nil
}

// convert points into row and hexDigits instead of copying: both outlive the Write that follows.
func (f *sampleFile) convert(to *record, w *row, hexDigits []byte) {
	*to = record{
		Due: w.dueNS, Sent: w.sentNS, Done: w.doneNS, Status: w.status, Error: w.failure.String(),
		BytesIn: w.bytesIn, BytesOut: w.bytesOut, Image: f.run.payloads[w.image].image, Client: w.client,
		Queue: observed(&w.stagesUS[0]), Receive: observed(&w.stagesUS[1]), Decode: observed(&w.stagesUS[2]),
		Preprocess: observed(&w.stagesUS[3]), Infer: observed(&w.stagesUS[4]),
		Postprocess: observed(&w.stagesUS[5]), Serialize: observed(&w.stagesUS[6]), Phase: "warmup",
	}
	if w.firstByteNS != none {
		to.FirstByte = &w.firstByteNS
	}
	if f.run.measured(w) {
		to.Phase = "measure"
	}
	if !w.neverSent {
		hex.Encode(hexDigits, w.trace[:])
		to.TraceID = unsafe.String(&hexDigits[0], len(hexDigits))
	}
}

func observed(us *int32) *int32 {
	if *us == none {
		return nil
	}
	return us
}

func (f *sampleFile) failed(err error) error {
	return fmt.Errorf("--samples %s: cannot be written: %w; nothing of it was kept; free some space or choose another disk",
		f.path, err)
}

// finish makes the file complete, durable and visible, in this order.
func (f *sampleFile) finish(w window) error {
	note, err := json.Marshal(w)
	if err != nil {
		return f.failed(err)
	}
	f.rows.SetKeyValueMetadata("windtunnel.samples", samplesVersion)
	f.rows.SetKeyValueMetadata("windtunnel.window", string(note))
	for _, step := range []func() error{
		f.rows.Close, f.buffer.Flush, f.partial.Sync, f.partial.Close,
		func() error { return os.Rename(f.partial.Name(), f.path) },
	} {
		if err := step(); err != nil {
			return f.failed(err)
		}
	}
	f.complete = true
	// The name is durable once its folder is; not every file system can do this, so it may fail.
	if folder, err := os.Open(filepath.Dir(f.path)); err == nil {
		folder.Sync()
		folder.Close()
	}
	return nil
}

// discard removes what was written, unless the file is complete.
func (f *sampleFile) discard() {
	if !f.complete {
		f.partial.Close()
		os.Remove(f.partial.Name())
	}
}
