package load

import (
	"bytes"
	"net"
	"net/http"
	"testing"
	"time"

	"windtunnel/triton_bench/sample"
)

// FuzzWire answers with bytes of any kind, in two parts, over a real socket. Whatever they are, each
// request becomes one row in time, and one that counts as answered has a status.
func FuzzWire(f *testing.F) {
	for _, answer := range []string{
		fine, fine + fine, "", "\r\n", "HTTP/1.1 200 OK\r\n\r\nuntil the end",
		"HTTP/1.1 100 Continue\r\n\r\n" + fine, "HTTP/1.0 503 x\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nServer-Timing: infer;dur=1e300, queue;dur=-1\r\nContent-Length: 1\r\n\r\nx",
		"HTTP/1.1 200 OK\r\nContent-Length: 999999999999999999\r\n\r\nx",
	} {
		f.Add([]byte(answer), uint16(len(answer)/2), len(answer)%2 == 0)
	}
	f.Fuzz(func(t *testing.T, answer []byte, cut uint16, closes bool) {
		first, second := answer[:min(int(cut), len(answer))], answer[min(int(cut), len(answer)):]
		c := posting(serving(t, func(conn net.Conn, _ int64) bool {
			conn.Write(first)
			time.Sleep(time.Millisecond)
			conn.Write(second)
			return !closes
		})).until(2)
		c.Timeout = 50 * time.Millisecond
		started, r := time.Now(), New(c)
		if err := r.Reach(); err != nil {
			t.Fatal(err)
		}
		r.Begin()
		rows := collected(t, r)
		if took := time.Since(started); len(rows) != 2 || took > 10*time.Second {
			t.Fatalf("%d rows in %v", len(rows), took)
		}
		for _, row := range rows {
			if row.Failure == sample.NoFailure && (row.Status < http.StatusOK || row.Status > 999 || row.BytesIn == 0) {
				t.Errorf("answered with %+v by %q", row, answer)
			}
			if row.Failure == sample.NoFailure && !bytes.Contains(answer, []byte("HTTP/1.")) {
				t.Errorf("%q counts as an answer", answer)
			}
		}
	})
}
