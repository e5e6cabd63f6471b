package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"windtunnel/triton_bench/http1"
	"windtunnel/triton_bench/sample"
)

// netTransport sends requests through net/http, for what raw connections do not speak: TLS, HTTP/2,
// redirects. Each sender has a connection and a goroutine of its own; the lane paces them all the
// same, and the way from lane to goroutine, some tens of microseconds, is send lag.
type netTransport struct {
	*sleeper
	lane    *lane
	aborted context.Context
	cancel  context.CancelFunc
	links   []*netLink
	running sync.WaitGroup

	mutex sync.Mutex
	done  []*netLink // whose request has ended
}

// link is what a transport keeps with a sender.
type link any

// A netLink sends one request after another over a connection of its own.
type netLink struct {
	transport         *netTransport
	sender            *sender
	client            http.Client
	todo              chan struct{}
	bytesIn, bytesOut atomic.Int64 // on the wire, TLS and frames included
	written           atomic.Bool  // the request is with the server
	field             []byte       // traceparent, as the raw client sends it
	sampled           bool         // it asks to be traced
	buffer            []byte

	doneNS  int64
	failure sample.Failure
	err     error
}

func newNetTransport(l *lane) *netTransport {
	t := &netTransport{sleeper: newSleeper(), lane: l}
	t.aborted, t.cancel = context.WithCancel(context.Background())
	return t
}

func (t *netTransport) begin(s *sender) {
	k, _ := s.link.(*netLink)
	if k == nil {
		k = t.newLink(s)
		s.link = k
		t.links = append(t.links, k)
		t.running.Go(k.work)
	}
	s.row.Trace, k.sampled = t.lane.traces.stamp(k.field)
	k.todo <- struct{}{}
}

func (t *netTransport) newLink(s *sender) *netLink {
	k := &netLink{
		transport: t, sender: s, todo: make(chan struct{}, 1), field: []byte(TraceparentField), buffer: make([]byte, 32<<10),
	}
	c := &t.lane.run.config
	var protocols http.Protocols
	protocols.SetHTTP1(!c.HTTP2)
	protocols.SetHTTP2(c.HTTP2) // what is asked for is what is measured: nothing is negotiated
	protocols.SetUnencryptedHTTP2(c.HTTP2)
	k.client.CheckRedirect = k.redirect
	k.client.Transport = &http.Transport{
		DialContext:            k.dial,
		TLSClientConfig:        &tls.Config{InsecureSkipVerify: c.Insecure},
		Protocols:              &protocols,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    1,
		WriteBufferSize:        128 << 10, // an image in few writes
		MaxResponseHeaderBytes: http1.HeadLimit,
	}
	return k
}

// Answers that the raw client would not have had either.
var (
	errTwice     = errors.New("the connection was lost after the request had been sent")
	errRedirects = errors.New("more than 10 redirects")
)

// redirect follows as far as net/http does by default. What is then sent is another request.
func (k *netLink) redirect(_ *http.Request, via []*http.Request) error {
	k.written.Store(false)
	if len(via) > 10 {
		return errRedirects
	}
	return nil
}

// dial connects to the address that was found before the run; a redirect may lead elsewhere. It
// refuses to when the request was already sent: net/http would send a GET again over the new
// connection, which hides that the server dropped the old one.
func (k *netLink) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if k.written.Load() {
		return nil, errTwice
	}
	r := k.transport.lane.run
	r.dials.Add(1)
	if first := r.first.Swap(nil); first != nil {
		return countedConn{first, k}, nil
	}
	if address == r.config.Target.Dial {
		address = r.resolved.String()
	}
	conn, err := (&net.Dialer{KeepAlive: -1}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return countedConn{conn, k}, nil
}

// A countedConn counts what goes over a connection.
type countedConn struct {
	net.Conn
	link *netLink
}

func (c countedConn) Read(b []byte) (n int, err error) {
	n, err = c.Conn.Read(b)
	c.link.bytesIn.Add(int64(n))
	return n, err
}

func (c countedConn) Write(b []byte) (n int, err error) {
	n, err = c.Conn.Write(b)
	c.link.bytesOut.Add(int64(n))
	return n, err
}

func (k *netLink) work() {
	for range k.todo {
		in, out := k.bytesIn.Load(), k.bytesOut.Load()
		k.failure, k.err = k.exchange(&k.sender.row)
		k.sender.row.BytesIn, k.sender.row.BytesOut = k.bytesIn.Load()-in, k.bytesOut.Load()-out
		t := k.transport
		t.mutex.Lock()
		t.done = append(t.done, k)
		t.mutex.Unlock()
		t.wake()
	}
}

// exchange sends the request and reads its answer to the last byte.
func (k *netLink) exchange(row *sample.Row) (sample.Failure, error) {
	clock, timeout := k.transport.lane.run.Now, k.transport.lane.run.config.Timeout
	ctx, cancel := context.WithCancelCause(k.transport.aborted)
	defer cancel(nil)
	timer := time.AfterFunc(timeout, func() { cancel(errTimeout) })
	defer timer.Stop()
	row.TakenNS = clock()
	var dialled atomic.Bool
	var sentNS, firstByteNS atomic.Int64 // net/http writes and reads on goroutines of its own
	firstByteNS.Store(sample.None)
	k.written.Store(false)
	request, err := k.request(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) {
			dialled.Store(!got.Reused)
			if sentNS.CompareAndSwap(0, clock()) {
				timer.Reset(timeout) // counts from sending, as it does without net/http
			}
		},
		WroteRequest:         func(wrote httptrace.WroteRequestInfo) { k.written.Store(wrote.Err == nil) },
		GotFirstResponseByte: func() { firstByteNS.Store(clock()) },
	}))
	if err != nil {
		k.doneNS = clock()
		row.SentNS = k.doneNS
		return sample.ProtocolFailure, err
	}
	answer, err := k.client.Do(request)
	if err == nil {
		row.Status = int32(answer.StatusCode)
		for _, value := range answer.Header.Values("Server-Timing") {
			http1.ServerTiming([]byte(value), &row.StagesUS)
		}
		_, err = io.CopyBuffer(onlyWriter{}, answer.Body, k.buffer)
		answer.Body.Close()
	}
	k.doneNS = clock()
	row.FirstByteNS = firstByteNS.Load()
	if row.SentNS = sentNS.Load(); row.SentNS == 0 {
		row.SentNS = k.doneNS // it never was
	} else if !dialled.Load() {
		row.TakenNS = row.SentNS
	}
	if err == nil {
		return sample.NoFailure, nil
	}
	return netFailure(err, context.Cause(ctx), sentNS.Load() != 0), err
}

// onlyWriter discards; io.Discard would take its own buffer instead of the link's.
type onlyWriter struct{}

func (onlyWriter) Write(b []byte) (int, error) { return len(b), nil }

func (k *netLink) request(ctx context.Context) (*http.Request, error) {
	p := k.sender.payload
	request, err := http.NewRequestWithContext(ctx, p.Method, k.transport.lane.run.config.Target.URL, bytes.NewReader(p.Body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Traceparent", string(k.field[traceOffset-len("00-"):len(k.field)-len("\r\n")]))
	if baggage := k.transport.lane.run.config.Baggage; k.sampled && baggage != "" {
		request.Header.Set("Baggage", baggage)
	}
	request.Header.Set("User-Agent", "triton_bench")
	request.Header.Set("Accept", "*/*")
	if p.ContentType != "" {
		request.Header.Set("Content-Type", p.ContentType)
	}
	return request, nil
}

// netFailure names what went wrong, in the words of the raw client.
func netFailure(err, cause error, sent bool) sample.Failure {
	switch {
	case cause == errTimeout:
		return sample.TimeoutFailure
	case !sent:
		return sample.ConnectFailure
	case errors.Is(err, syscall.ECONNRESET):
		return sample.ResetFailure
	case errors.Is(err, errTwice), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		return sample.ClosedFailure
	default:
		return sample.ProtocolFailure
	}
}

func (t *netTransport) wait(untilNS int64) {
	now := t.lane.run.Now()
	t.lane.asleep(now)
	t.sleep(untilNS - now)
	t.lane.awake()
	t.mutex.Lock()
	done := t.done
	t.done = nil
	t.mutex.Unlock()
	for _, k := range done {
		t.lane.ended(k.sender, k.doneNS, k.failure, k.err)
	}
}

func (t *netTransport) abort() {
	t.cancel()
	for t.lane.inFlight > 0 {
		t.wait(Forever)
	}
}

func (t *netTransport) close() {
	t.cancel()
	for _, k := range t.links {
		close(k.todo)
	}
	t.running.Wait()
	for _, k := range t.links {
		k.client.CloseIdleConnections()
	}
	t.sleeper.close()
}
