package main

import (
	"bufio"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"windtunnel/triton_bench/load"
)

func TestAllLabelsAreThereWhateverWasSaid(t *testing.T) {
	for _, given := range []struct {
		arguments, load string
		want            map[string]string
	}{
		{"--clients 8", "", map[string]string{"clients": "8"}},
		{"--clients 8 --label cell=mine", "c0008", map[string]string{"clients": "8", "cell": "mine"}},
		{"--mode matrix", "c0010", map[string]string{"clients": "1", "cell": "c0010"}},
		{"--rate 0.5 --label repeat=3 --label gpu=none", "", map[string]string{"rate": "0.5", "repeat": "3", "gpu": "none"}},
		{"--steps 20,40", "", map[string]string{"rate": "20,40"}},
		{"--ramp 1..7.5", "", map[string]string{"rate": "1..7.5"}},
	} {
		o, err := parseOptions(strings.Fields(given.arguments))
		if err != nil {
			t.Fatal(err)
		}
		c, err := o.config(load.Target{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			"campaign": "", "run": "", "variant": "", "cell": "", "clients": "", "rate": "", "repeat": "",
		}
		maps.Copy(want, given.want)
		if got := o.runLabels(given.load, &c); !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", given.arguments, got, want)
		}
	}
}

// tests/test_locust.py expects the same of Locust.
func TestABaggageCanBeReadWhateverTheLabelsHold(t *testing.T) {
	o := &options{}
	for _, given := range []string{"repeat=1", "cell=a=b c0008,+%;\"ü", "campaign=x.y-z_~", "run="} {
		if err := o.addLabel(given); err != nil {
			t.Fatal(err)
		}
	}
	want := "loadtest.campaign=x.y-z_~,loadtest.cell=a%3Db%20c0008%2C%2B%25%3B%22%C3%BC"
	if got := o.baggage(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A recorder keeps what a server was sent in some headers.
type recorder struct {
	mutex   sync.Mutex
	headers []http.Header
}

func (r *recorder) serve(t *testing.T) (url string) {
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
				for in := bufio.NewReader(conn); ; {
					request, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					io.Copy(io.Discard, request.Body)
					r.mutex.Lock()
					r.headers = append(r.headers, request.Header)
					r.mutex.Unlock()
					io.WriteString(conn, fine)
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

func TestOnlyRequestsThatAskToBeTracedCarryTheBaggage(t *testing.T) {
	t.Parallel()
	for _, client := range []string{load.Raw, load.NetHTTP} {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			var r recorder
			b := runBench(t, r.serve(t), "--client", client, "--clients", "2", "--requests", "200", "--trace-ratio", "0.5",
				"--label", "run=r 1", "--label", "variant=v", "--calibrate", "50ms")
			if b.status != exitMeasured || b.summary.Measured.OK != 200 {
				t.Fatalf("status %d, %+v: %s", b.status, b.summary.Measured, b.stderr)
			}
			r.mutex.Lock()
			defer r.mutex.Unlock()
			traced := 0
			for _, header := range r.headers {
				want := ""
				if strings.HasSuffix(header.Get("Traceparent"), "-01") {
					want = "loadtest.run=r%201,loadtest.variant=v"
					traced++
				}
				if got := header.Get("Baggage"); got != want {
					t.Fatalf("baggage %q with %s, want %q", got, header.Get("Traceparent"), want)
				}
			}
			if len(r.headers) != 200 || traced < 50 || traced > 150 {
				t.Errorf("%d of %d requests are traced", traced, len(r.headers))
			}
		})
	}
}
