package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func readAll(text string, oneByte bool) (answer, *reader, error) {
	var src io.Reader = strings.NewReader(text)
	if oneByte {
		src = iotest.OneByteReader(src)
	}
	var a answer
	r := newReader(src, func() int64 { return 42 })
	err := r.read(&a)
	return a, r, err
}

var goodAnswers = []struct {
	name, text string
	status     int32
	closes     bool
}{
	{"content length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, false},
	{"no reason", "HTTP/1.1 200\r\ncontent-length:0\r\n\r\n", 200, false},
	{"bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, false},
	{"close", "HTTP/1.1 503 Busy\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n", 503, true},
	{"until the end", "HTTP/1.1 200 OK\r\n\r\nall of it", 200, true},
	{"http/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, true},
	{"http/1.0 kept", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", 200, false},
	{"no content", "HTTP/1.1 204 No Content\r\n\r\n", 204, false},
	{"interim", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n", 201, false},
	{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5;name=x\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n", 200, false},
	{"chunks win over a length", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, false},
	{"equal lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", 200, false},
}

func TestGoodAnswersAreReadToTheLastByteHoweverTheyAreCut(t *testing.T) {
	for _, given := range goodAnswers {
		for _, oneByte := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, one byte %v", given.name, oneByte), func(t *testing.T) {
				a, r, err := readAll(given.text, oneByte)
				if err != nil {
					t.Fatal(err)
				}
				if a.status != given.status || a.closes != given.closes {
					t.Errorf("status %d, closes %v; want %d, %v", a.status, a.closes, given.status, given.closes)
				}
				if r.received != int64(len(given.text)) || r.firstByteNS != 42 {
					t.Errorf("%d bytes, first at %d; want %d at 42", r.received, r.firstByteNS, len(given.text))
				}
			})
		}
	}
}

func TestTwoAnswersInOneReadAreTheFirstOneAndAProtocolError(t *testing.T) {
	_, _, err := readAll(strings.Repeat("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 2), false)
	if failureOf(err) != protocolFailure {
		t.Errorf("got %v", err)
	}
}

var badAnswers = map[string]string{
	"garbage":              "\x16\x03\x01\x02 what is this\r\n\r\n",
	"another version":      "HTTP/2.0 200 OK\r\n\r\n",
	"status of letters":    "HTTP/1.1 abc OK\r\n\r\n",
	"status under 100":     "HTTP/1.1 099 OK\r\n\r\n",
	"long status":          "HTTP/1.1 2000 OK\r\n\r\n",
	"switch":               "HTTP/1.1 101 Switching\r\n\r\n",
	"no colon":             "HTTP/1.1 200 OK\r\nnot a field\r\n\r\n",
	"folded field":         "HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\n\r\n",
	"length of letters":    "HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n",
	"negative length":      "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
	"overflowing length":   "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
	"two lengths":          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
	"other coding":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
	"chunk size":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
	"no chunk size":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n;a=b\r\n",
	"overflowing chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
	"chunk without end":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
	"line without end":     "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", lineLimit+1),
	"head without end":     "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", headLimit/6+1),
	"interim without end":  strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", headLimit/25+1),
	"trailers without end": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("X: y\r\n", headLimit/6+1),
}

func TestBadAnswersAreProtocolErrorsAndStopTheReading(t *testing.T) {
	for name, text := range badAnswers {
		t.Run(name, func(t *testing.T) {
			_, _, err := readAll(text, false)
			if failureOf(err) != protocolFailure {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAnAnswerCutAnywhereIsClosedAndNeverOK(t *testing.T) {
	for _, given := range goodAnswers {
		if given.name == "until the end" {
			continue // its end is the end
		}
		for cut := range len(given.text) {
			if _, _, err := readAll(given.text[:cut], false); err == nil {
				t.Errorf("%s: %q was taken for a whole answer", given.name, given.text[:cut])
			} else if failureOf(err) != closedFailure && failureOf(err) != protocolFailure {
				t.Errorf("%s cut at %d: %v", given.name, cut, err)
			}
		}
	}
}

func TestServerTimingFillsTheStagesItNames(t *testing.T) {
	for text, want := range map[string][stageCount]int32{
		"queue;dur=1.5, receive;dur=0.25":                {1500, 250, none, none, none, none, none},
		`infer;desc="a, b; dur=9";dur=12.3456,x;dur=1`:   {none, none, none, none, 12346, none, none},
		"decode;DUR=\"2\"":                               {none, none, 2000, none, none, none, none},
		"decode;dur=1, decode;dur=2":                     {none, none, 3000, none, none, none, none},
		"serialize;dur=0":                                {none, none, none, none, none, none, 0},
		"infer;dur=1e9999, decode;dur=-1, queue;dur=NaN": noStages,
		"infer;dur=1e300":                                {none, none, none, none, 2147483647, none, none},
		"infer, decode;dur, ;;;=,\"":                     noStages,
		"":                                               noStages,
	} {
		got := noStages
		serverTiming([]byte(text), &got)
		if got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, given := range goodAnswers {
		f.Add([]byte(given.text))
	}
	for _, text := range badAnswers {
		f.Add([]byte(text[:min(len(text), 4096)]))
	}
	f.Add([]byte("HTTP/1.1 200 OK\r\nServer-Timing: infer;desc=\"\\\";dur=1, queue;dur=3\r\nContent-Length: 0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		whole, r, err := readAll(string(text), false)
		if r.start < 0 || r.start > r.end || r.end > len(r.buf) || r.received > int64(len(text)) {
			t.Fatalf("the buffer is %d..%d after %d of %d bytes", r.start, r.end, r.received, len(text))
		}
		if err == nil && (whole.status < 200 || whole.status > 999) {
			t.Errorf("status %d without an error", whole.status)
		}
		for _, us := range whole.stagesUS {
			if us < none {
				t.Errorf("stage of %d us", us)
			}
		}
		var protocol protocolError
		if err != nil && !errors.As(err, &protocol) && err != io.EOF {
			t.Errorf("unexpected failure %v", err)
		}
		// However the bytes are cut, the answer is the same. Bytes behind it are only seen when they
		// have already come, so that case may differ.
		cut, _, cutErr := readAll(string(text), true)
		if err == nil && (cutErr != nil || cut != whole) {
			t.Errorf("%v in one read, %v and %v byte by byte", whole, cut, cutErr)
		}
	})
}
