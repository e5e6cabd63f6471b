package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/parquet-go/parquet-go"

	"windtunnel/triton_bench/report"
)

// answering starts a server that reads requests and lets a function answer each; the connection is
// closed when the function says so.
func answering(t *testing.T, answer func(conn net.Conn, number int64) (open bool)) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	var requests atomic.Int64
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				for {
					request, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					io.Copy(io.Discard, request.Body)
					if !answer(conn, requests.Add(1)) {
						return
					}
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

const fine = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func say(text string) func(net.Conn, int64) bool {
	return func(conn net.Conn, _ int64) bool {
		_, err := io.WriteString(conn, text)
		return err == nil
	}
}

// A benched run is what the whole program left after a run against a server.
type benched struct {
	status  int
	summary report.Summary
	stderr  string
	rows    []fileRow
	folder  string
}

// A fileRow is a row as the sample file holds it, as far as the tests look at it.
type fileRow struct {
	Due       int64  `parquet:"due_ns"`
	Sent      int64  `parquet:"sent_ns"`
	FirstByte *int64 `parquet:"first_byte_ns,optional"`
	Done      int64  `parquet:"done_ns"`
	Status    int32  `parquet:"status"`
	Error     string `parquet:"error"`
	BytesIn   int64  `parquet:"bytes_in"`
	BytesOut  int64  `parquet:"bytes_out"`
	Image     string `parquet:"image"`
	Client    int32  `parquet:"client"`
	Infer     *int32 `parquet:"stage_infer_us,optional"`
	TraceID   string `parquet:"trace_id,optional"`
	Phase     string `parquet:"phase"`
}

func runBench(t *testing.T, url string, arguments ...string) benched {
	t.Helper()
	b := benched{folder: t.TempDir()}
	image := filepath.Join(b.folder, "a.jpg")
	if err := os.WriteFile(image, bytes.Repeat([]byte("jpeg"), 300), 0o600); err != nil {
		t.Fatal(err)
	}
	stderr, err := os.Create(filepath.Join(b.folder, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	samples := filepath.Join(b.folder, "samples.parquet")
	given := []string{"--url", url, "--image", image, "--samples", samples, "--json", "--progress", "json", "--warmup", "0",
		"--calibrate", "0"}
	var stdout strings.Builder
	b.status = command(append(given, arguments...), &stdout, stderr)
	if stdout.Len() > 0 {
		if err := json.Unmarshal([]byte(stdout.String()), &b.summary); err != nil {
			t.Fatalf("%v in %q", err, stdout.String())
		}
	}
	said, err := os.ReadFile(stderr.Name())
	if err != nil {
		t.Fatal(err)
	}
	b.stderr = string(said)
	if _, err := os.Stat(samples); err == nil {
		if b.rows, err = parquet.ReadFile[fileRow](samples); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(samples + ".partial"); err == nil {
		t.Error("a partial file was left")
	}
	a := b.summary.Accounting
	if a.Issued != a.Ended() || (b.rows != nil && int64(len(b.rows)) != a.Issued) {
		t.Errorf("issued %d, ended %d, rows %d", a.Issued, a.Ended(), len(b.rows))
	}
	return b
}

// onlyError asserts that every request of the run failed in one way.
func (b benched) onlyError(t *testing.T, name string) {
	t.Helper()
	if len(b.rows) == 0 {
		t.Errorf("no rows; %s", b.stderr)
	}
	for _, row := range b.rows {
		if row.Error != name {
			t.Errorf("error %q with status %d, want %q", row.Error, row.Status, name)
		}
	}
}
