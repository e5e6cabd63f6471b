package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

const okBody = `{"detections":[]}`

// serve answers the requests of one connection. It understands what triton_bench sends and no more:
// a request with a Content-Length, or a GET.
func (b *behaviour) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 64<<10)
	answer := b.answer(200, "OK", okBody)
	failure := b.answer(500, "Internal Server Error", `{"error":{"code":"stub"}}`)
	for {
		path, err := request(in)
		if err != nil {
			return
		}
		if path == "/stats" {
			fmt.Fprint(conn, b.stats())
			continue
		}
		number := b.requests.Add(1)
		b.wait(number)
		switch {
		case every(number, b.dropEvery):
			return
		case every(number, b.silentEvery):
			continue
		case every(number, b.failEvery):
			conn.Write(failure)
		default:
			conn.Write(answer)
		}
		if every(number, b.closeEvery) {
			return
		}
	}
}

func every(number, n int64) bool { return n > 0 && number%n == 0 }

// request reads one request to its last byte.
func request(in *bufio.Reader) (path string, err error) {
	line, err := textproto.NewReader(in).ReadLine()
	if err != nil {
		return "", err
	}
	fields, err := textproto.NewReader(in).ReadMIMEHeader()
	if err != nil {
		return "", err
	}
	if length, err := strconv.ParseInt(fields.Get("Content-Length"), 10, 64); err == nil {
		if _, err := io.CopyN(io.Discard, in, length); err != nil {
			return "", err
		}
	}
	if words := strings.Fields(line); len(words) == 3 {
		return words[1], nil
	}
	return "", io.ErrUnexpectedEOF
}

// wait returns when the answer of a request that has just arrived is due.
func (b *behaviour) wait(number int64) {
	arrived := time.Since(b.start)
	delay := b.delay
	if b.mode == "bimodal" && number%b.slowEvery == 0 {
		delay = b.slow
	}
	if b.mode == "freeze" && number == b.freezeAt {
		b.frozenAtUnixNS.Store(time.Now().UnixNano())
		b.frozenUntilNS.Store(int64(arrived + b.freeze))
	}
	// A frozen server does not read: what arrives meanwhile begins when it thaws. What was already
	// being worked on is done by then, and only its answer is late.
	if frozen := time.Duration(b.frozenUntilNS.Load()); arrived < frozen && number != b.freezeAt {
		arrived = frozen
	}
	sleepUntil(b.start, arrived+delay)
	if frozen := time.Duration(b.frozenUntilNS.Load()); arrived < frozen {
		sleepUntil(b.start, frozen)
	}
}

func (b *behaviour) answer(status int, reason, body string) []byte {
	head := fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", status, reason, len(body))
	if b.serverTiming != "" {
		head += "Server-Timing: " + b.serverTiming + "\r\n"
	}
	return []byte(head + "\r\n" + body)
}

func (b *behaviour) stats() string {
	body := fmt.Sprintf(`{"requests":%d,"connections":%d,"frozen_at_unix_ns":%d}`,
		b.requests.Load(), b.dialled.Load(), b.frozenAtUnixNS.Load())
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}
