package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// overTLS is a server with a certificate that nobody has signed.
func overTLS(t *testing.T, http2 bool) (url string) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if size, err := io.Copy(io.Discard, r.Body); err != nil || size < 1200 || r.ProtoAtLeast(2, 0) != http2 {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of certificates that are refused on purpose
	server.EnableHTTP2 = http2
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

func TestHTTPSNeedsACertificateOrTheWordOfTheUser(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		flags := []string{"--clients", "2", "--requests", "8", "--insecure"}
		if http2 {
			flags = append(flags, "--http2")
		}
		b := runBench(t, overTLS(t, http2), flags...)
		if s := b.summary; b.status != exitMeasured || s.Measured.OK != 8 || s.Client != "nethttp" || *s.HTTP2 != http2 || s.Instrument.Connections != 2 {
			t.Errorf("HTTP/2 %v: status %d, %+v by %s; %s", http2, b.status, s.Measured, s.Client, b.stderr)
		}
	}
	b := runBench(t, overTLS(t, false), "--requests", "2")
	b.onlyError(t, "connect")
	if last := b.stderr[strings.LastIndex(strings.TrimSpace(b.stderr), "\n")+1:]; b.status != exitBroken ||
		!strings.Contains(last, "certificate") || !strings.Contains(last, "none of 2 requests") {
		t.Errorf("status %d: %s", b.status, b.stderr)
	}
}

func TestHTTP2WithoutTLS(t *testing.T) {
	t.Parallel()
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.ProtoMajor != 2 {
			w.WriteHeader(http.StatusHTTPVersionNotSupported)
		}
	}))
	server.Config.Protocols = &protocols
	server.Start()
	t.Cleanup(server.Close)
	if b := runBench(t, server.URL, "--http2", "--client", "nethttp", "--requests", "6"); b.summary.Measured.OK != 6 {
		t.Errorf("%+v; %s", b.summary.Measured, b.stderr)
	}
}

func TestARedirectIsFollowedByNetHTTPAndAnErrorOfRaw(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if size, _ := io.Copy(io.Discard, r.Body); size < 1200 {
			w.WriteHeader(http.StatusBadRequest)
		} else if r.URL.Path != "/there" {
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
		}
	}))
	t.Cleanup(server.Close)
	if b := runBench(t, server.URL, "--client", "nethttp", "--requests", "5"); b.summary.Measured.OK != 5 {
		t.Errorf("%+v", b.summary.Measured)
	}
	if b := runBench(t, server.URL, "--client", "raw", "--requests", "5"); b.summary.Errors["http_307"] != 5 || b.status != exitMeasured {
		t.Errorf("status %d, %v", b.status, b.summary.Errors)
	}
}

// Both clients read the same answers, of both ways to say how long they are.
func TestAnswersInChunksAndWithALengthAreReadByBothClients(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("0123456789", 30_000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Add("Server-Timing", `queue;dur=0.25, infer;desc="a, b";dur=12.5`)
		w.Header().Add("Server-Timing", "db;dur=3")
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		}
		for part := body; part != ""; part = part[30_000:] {
			io.WriteString(w, part[:30_000])
			if r.URL.Path == "/chunks" {
				w.(http.Flusher).Flush()
			}
		}
	}))
	t.Cleanup(server.Close)
	for _, path := range []string{"/length", "/chunks"} {
		for _, client := range []string{"raw", "nethttp"} {
			b := runBench(t, server.URL+path, "--client", client, "--requests", "4", "--clients", "2")
			if b.summary.Measured.OK != 4 {
				t.Errorf("%s %s: %+v %v", client, path, b.summary.Measured, b.summary.Errors)
			}
			for _, row := range b.rows {
				if row.Infer == nil || *row.Infer != 12_500 || row.BytesIn < int64(len(body)) || row.BytesIn > int64(len(body))+2000 ||
					row.BytesOut < 1200 || row.BytesOut > 2000 || row.Status != 200 {
					t.Errorf("%s %s: %+v", client, path, row)
				}
			}
		}
	}
}

// Both see the same service: what one of them adds to a delay of 50 ms is far below 2 % of it, and
// little more at P95. The quickest of several rounds counts, because a neighbour's work only ever adds;
// and it is not parallel, because the other tests would be such neighbours in every round.
func TestBothClientsAgreeOnAKnownDelay(t *testing.T) {
	for _, load := range [][]string{{"--clients", "8"}, {"--rate", "160"}} {
		var raw, net [2]float64
		agree := func() bool {
			for i, tolerance := range []float64{1.02, 1.05} {
				if raw[i] < 50 || net[i] < 50 || raw[i] > tolerance*net[i] || net[i] > tolerance*raw[i] {
					return false
				}
			}
			return true
		}
		for range 8 {
			raw, net = quicker(raw, percentilesBy(t, "raw", load)), quicker(net, percentilesBy(t, "nethttp", load))
			if agree() {
				break
			}
		}
		if !agree() {
			t.Errorf("%v: P50 and P95 are %v ms by raw and %v ms by nethttp", load, raw, net)
		}
	}
}

func quicker(a, b [2]float64) [2]float64 {
	if a == [2]float64{} {
		return b
	}
	return [2]float64{min(a[0], b[0]), min(a[1], b[1])}
}

// percentilesBy are P50 and P95 of the service time as a client measures it.
func percentilesBy(t *testing.T, client string, load []string) [2]float64 {
	t.Helper()
	url := answering(t, func(conn net.Conn, n int64) bool {
		time.Sleep(50 * time.Millisecond)
		return say(fine)(conn, n)
	})
	b := runBench(t, url, append([]string{"--client", client, "--requests", "80", "--warmup", "200ms"}, load...)...)
	if b.summary.Measured.OK != 80 || b.summary.ServiceMS.P95 == nil {
		t.Fatalf("%s: %+v; %s", client, b.summary.Measured, b.stderr)
	}
	return [2]float64{*b.summary.ServiceMS.P50, *b.summary.ServiceMS.P95}
}
