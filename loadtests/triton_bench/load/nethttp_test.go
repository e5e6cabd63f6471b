package load

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"windtunnel/triton_bench/sample"
)

// getting is a load of GETs: net/http takes them for requests that may be repeated.
func getting(address string) Config {
	c := posting(address, "")
	p := &c.Payloads[0]
	p.Method, p.Body = http.MethodGet, nil
	p.Head = []byte("GET / HTTP/1.1\r\nHost: " + address + "\r\n" + TraceparentField + "\r\n")
	p.TraceOffset = len(p.Head) - len(TraceparentField) - len("\r\n")
	return c
}

func TestNoClientSendsARequestTwice(t *testing.T) {
	t.Parallel()
	for _, client := range []string{Raw, NetHTTP} {
		var seen atomic.Int64
		c := getting(serving(t, func(conn net.Conn, n int64) bool {
			seen.Add(1)
			return n%3 != 0 && answered(conn, n) // every third is dropped with its connection
		})).until(30)
		c.Client = client
		r := New(c)
		found, closed := sample.Accounting{}, 0
		for _, row := range done(t, r) {
			found.Add(row.Outcome())
			if row.Failure == sample.ClosedFailure {
				closed++
			}
		}
		if found.OK != 20 || closed != 10 || seen.Load() != 30 {
			t.Errorf("%s: %+v, %d closed, the server saw %d; %s", client, found, closed, seen.Load(),
				r.FirstFailure(sample.ProtocolFailure))
		}
	}
}

// protocolOf serves over TLS or without, in whichever protocol it is asked, and tells which that was.
func protocolOf(t *testing.T, overTLS bool) (c Config, seen func() string) {
	t.Helper()
	var last atomic.Value
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		last.Store(r.Proto)
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetHTTP2(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of certificates that are refused on purpose
	server.EnableHTTP2 = overTLS
	scheme := "http"
	if overTLS {
		scheme = "https"
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	c = posting(server.Listener.Addr().String()).until(6)
	c.Client, c.Target.Scheme, c.Target.URL, c.Insecure = NetHTTP, scheme, server.URL, true
	return c, func() string { proto, _ := last.Load().(string); return proto }
}

func TestTheProtocolIsTheOneThatWasAskedFor(t *testing.T) {
	t.Parallel()
	for _, overTLS := range []bool{false, true} {
		for _, http2 := range []bool{false, true} {
			c, seen := protocolOf(t, overTLS)
			c.HTTP2, c.Clients = http2, 2
			r := New(c)
			found := outcomes(done(t, r))
			want := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[http2]
			if found.OK != 6 || seen() != want || r.Dials() > 2 {
				t.Errorf("TLS %v: %+v by %s over %d connections, want %s; %s", overTLS, found, seen(), r.Dials(), want,
					r.FirstFailure(sample.ProtocolFailure))
			}
		}
	}
}

func TestACertificateThatNobodyKnowsIsAFailureToConnect(t *testing.T) {
	t.Parallel()
	c, _ := protocolOf(t, true)
	c.Insecure = false
	c = c.until(3)
	r := New(c)
	for _, row := range done(t, r) {
		if row.Failure != sample.ConnectFailure {
			t.Errorf("%+v", row)
		}
	}
	if text := r.FirstFailure(sample.ConnectFailure); !strings.Contains(text, "certificate") {
		t.Error(text)
	}
}

func TestNetHTTPGivesUpInTime(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	defer close(hold)
	silent := accepting(t, func(net.Conn) { <-hold }) // no answer, and no handshake
	for _, scheme := range []string{"http", "https"} {
		c := posting(silent).until(4)
		c.Client, c.Clients, c.Timeout, c.Target.Scheme = NetHTTP, 2, 150*time.Millisecond, scheme
		c.Target.URL = scheme + "://" + silent + "/"
		started := time.Now()
		for _, row := range done(t, New(c)) {
			if row.Failure != sample.TimeoutFailure || row.DoneNS-row.DueNS < int64(c.Timeout) {
				t.Errorf("%s: %s after %d ns", scheme, row.Failure, row.DoneNS-row.DueNS)
			}
		}
		if took := time.Since(started); took > 4*time.Second {
			t.Errorf("%s: took %v", scheme, took)
		}
	}
}

func TestARedirectIsFollowedUpToTen(t *testing.T) {
	t.Parallel()
	var moves atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case string(body) != "image":
			w.WriteHeader(http.StatusBadRequest)
		case r.URL.Path == "/endless" || r.URL.Path == "/" && moves.Add(1)%2 == 1:
			w.Header().Set("Connection", "close") // each on a connection of its own
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		}
	}))
	t.Cleanup(server.Close)
	c := posting(server.Listener.Addr().String(), "image").until(4)
	c.Client = NetHTTP
	if found := outcomes(done(t, New(c))); found.OK != 4 || moves.Load() != 8 {
		t.Errorf("%+v after %d requests", found, moves.Load())
	}
	c.Target.URL += "endless"
	if rows := done(t, New(c)); rows[0].Failure != sample.ProtocolFailure {
		t.Errorf("%+v", rows[0])
	}
}
