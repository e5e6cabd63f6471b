package main

import (
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"windtunnel/triton_bench/load"
	"windtunnel/triton_bench/sample"
)

// calibrationClients is enough to keep a sending thread busy.
const calibrationClients = 32

// calibrate finds how many requests a second this instrument can send on this machine: to a server in
// this process that answers at once, in a closed loop. The server takes its share of the processors,
// so the instrument alone can do no less than this.
func calibrate(c load.Config, duration time.Duration, begin func(*load.Run)) (ceilingRPS float64, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	address := listener.Addr().String()
	c.Target = load.Target{URL: "http://" + address + "/", Scheme: "http", Host: address, Dial: address, Path: "/"}
	c.Payloads = []load.Payload{middling(c.Payloads)}
	c.Plan, c.Steps, c.Clients = nil, nil, calibrationClients
	c.Warmup, c.Duration, c.Requests, c.MinRequests, c.Endless = 0, duration, 0, 0, false
	c.Timeout = 10 * time.Second // whatever the service is given
	c.Baggage = ""               // answerAtOnce counts on requests of one length
	if c.Client == load.NetHTTP {
		go netServer().Serve(listener)
	} else {
		go answerAtOnce(listener, len(c.Payloads[0].Head)+len(c.Payloads[0].Body))
	}
	r := load.New(c)
	if err := r.Reach(); err != nil {
		return 0, err
	}
	begin(r)
	answered, lastNS := 0, int64(1)
	err = r.Do(func(rows []sample.Row) error {
		for i := range rows {
			if rows[i].Outcome() == sample.OK {
				answered++
				lastNS = max(lastNS, rows[i].DoneNS)
			}
		}
		return nil
	})
	return float64(answered) / (float64(lastNS) / 1e9), err
}

// netServer answers what net/http sends.
func netServer() *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{Protocols: &protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "{}")
	})}
}

// middling is the payload of middling size.
func middling(payloads []load.Payload) load.Payload {
	bySize := slices.Clone(payloads)
	slices.SortFunc(bySize, func(a, b load.Payload) int { return len(a.Body) - len(b.Body) })
	return bySize[len(bySize)/2]
}

// answerAtOnce serves raw requests until the listener is closed. All of them have the same length, so there is
// nothing in them to look for.
func answerAtOnce(listener net.Listener, requestBytes int) {
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			buffer := make([]byte, 64<<10)
			for read := 0; ; {
				n, err := conn.Read(buffer[:min(len(buffer), requestBytes-read)])
				if err != nil {
					return
				}
				if read += n; read == requestBytes {
					read = 0
					if _, err = io.Writer(conn).Write(answer); err != nil {
						return
					}
				}
			}
		}()
	}
}
