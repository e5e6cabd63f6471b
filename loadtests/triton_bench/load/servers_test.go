package load

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"windtunnel/triton_bench/arrivals"
	"windtunnel/triton_bench/sample"
)

const fine = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// serving starts a server that reads requests and lets a function answer each, by its number from 1;
// the connection is closed when the function says so.
func serving(t testing.TB, answer func(conn net.Conn, number int64) (open bool)) (address string) {
	t.Helper()
	var requests atomic.Int64
	return accepting(t, func(conn net.Conn) {
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
	})
}

// accepting starts a server that gives each connection to a function, and closes it afterwards.
func accepting(t testing.TB, serve func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return listener.Addr().String()
}

func answered(conn net.Conn, _ int64) bool {
	_, err := io.WriteString(conn, fine)
	return err == nil
}

// posting is a load of POSTs, in a closed loop with one client until it is told otherwise.
func posting(address string, bodies ...string) Config {
	c := Config{
		Target:  Target{URL: "http://" + address + "/", Scheme: "http", Host: address, Dial: address, Path: "/"},
		Clients: 1, MaxConnections: 64, Threads: 1, Client: Raw, Seed: 1, Duration: 300 * time.Millisecond, Timeout: 5 * time.Second,
	}
	if len(bodies) == 0 {
		bodies = []string{"one", "two", "three"}
	}
	for i, body := range bodies {
		head := "POST / HTTP/1.1\r\nHost: " + address + "\r\n"
		c.Payloads = append(c.Payloads, Payload{
			Image: fmt.Sprintf("%d.jpg", i), Method: http.MethodPost, ContentType: "image/jpeg", TraceOffset: len(head),
			Head: fmt.Appendf(nil, "%s%sContent-Length: %d\r\n\r\n", head, TraceparentField, len(body)), Body: []byte(body),
		})
	}
	return c
}

func (c Config) until(requests int64) Config {
	c.Requests, c.Endless = requests, true
	return c
}

func (c Config) arriving(t testing.TB, rate float64, kind string) Config {
	t.Helper()
	plan, err := arrivals.NewPlan([]arrivals.Segment{{Duration: c.Warmup + Patience*c.Duration, From: rate, To: rate}},
		arrivals.Gaps{Kind: kind, Shape: 0.5}, c.Seed)
	if err != nil {
		t.Fatal(err)
	}
	c.Plan = plan
	return c
}

// done runs a load to its end and checks what holds for every run: each request that was issued is
// one row, and its times go forwards.
func done(t testing.TB, r *Run) (rows []sample.Row) {
	t.Helper()
	if err := r.Reach(); err != nil {
		t.Fatal(err)
	}
	r.Begin()
	return collected(t, r)
}

func collected(t testing.TB, r *Run) (rows []sample.Row) {
	t.Helper()
	if err := r.Do(func(some []sample.Row) error { rows = append(rows, some...); return nil }); err != nil {
		t.Fatal(err)
	}
	if int64(len(rows)) != r.Issued() || r.InFlight() != 0 {
		t.Errorf("%d requests were issued and %d are rows; %d are in flight", r.Issued(), len(rows), r.InFlight())
	}
	for i := range rows {
		row := &rows[i]
		if row.SentNS < row.DueNS || row.DoneNS < row.SentNS || (row.FirstByteNS != sample.None &&
			(row.FirstByteNS < row.SentNS || row.FirstByteNS > row.DoneNS)) {
			t.Errorf("times do not go forwards: %+v", row)
		}
	}
	return rows
}

func outcomes(rows []sample.Row) (a sample.Accounting) {
	for i := range rows {
		a.Add(rows[i].Outcome())
	}
	return a
}
