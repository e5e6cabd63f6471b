package http1

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"windtunnel/triton_bench/sample"
)

// readAll feeds a text whole or byte by byte, and then the end of the connection.
func readAll(text string, oneByte bool) (a Answer, used int, err error) {
	var p Parser
	p.Reset()
	step := max(len(text), 1)
	if oneByte {
		step = 1
	}
	for used < len(text) {
		n, done, err := p.Feed([]byte(text[used:min(used+step, len(text))]))
		if used += n; done || err != nil {
			return p.Answer, used, err
		}
	}
	return p.Answer, used, p.Closed()
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
				a, used, err := readAll(given.text, oneByte)
				if err != nil {
					t.Fatal(err)
				}
				if a.Status != given.status || a.Closes != given.closes || used != len(given.text) {
					t.Errorf("status %d, closes %v, %d bytes; want %d, %v, %d",
						a.Status, a.Closes, used, given.status, given.closes, len(given.text))
				}
			})
		}
	}
}

func TestBytesBehindAnAnswerAreNotPartOfIt(t *testing.T) {
	text := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	if _, used, err := readAll(text+text, false); err != nil || used != len(text) {
		t.Errorf("%d of %d bytes, %v", used, len(text), err)
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
	"line without end":     "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", LineLimit+1),
	"head without end":     "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", HeadLimit/6+1),
	"interim without end":  strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", HeadLimit/25+1),
	"trailers without end": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("X: y\r\n", HeadLimit/6+1),
}

func TestBadAnswersAreProtocolErrorsAndStopTheReading(t *testing.T) {
	for name, text := range badAnswers {
		t.Run(name, func(t *testing.T) {
			for _, oneByte := range []bool{false, true} {
				var notHTTP Error
				if _, _, err := readAll(text, oneByte); !errors.As(err, &notHTTP) {
					t.Errorf("one byte %v: got %v", oneByte, err)
				}
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
			} else if err != io.ErrUnexpectedEOF {
				t.Errorf("%s cut at %d: %v", given.name, cut, err)
			}
		}
	}
}

func TestServerTimingFillsTheStagesItNames(t *testing.T) {
	for text, want := range map[string][sample.StageCount]int32{
		"queue;dur=1.5, receive;dur=0.25":                {1500, 250, sample.None, sample.None, sample.None, sample.None, sample.None},
		`infer;desc="a, b; dur=9";dur=12.3456,x;dur=1`:   {sample.None, sample.None, sample.None, sample.None, 12346, sample.None, sample.None},
		"decode;DUR=\"2\"":                               {sample.None, sample.None, 2000, sample.None, sample.None, sample.None, sample.None},
		"decode;dur=1, decode;dur=2":                     {sample.None, sample.None, 3000, sample.None, sample.None, sample.None, sample.None},
		"serialize;dur=0":                                {sample.None, sample.None, sample.None, sample.None, sample.None, sample.None, 0},
		"infer;dur=1e9999, decode;dur=-1, queue;dur=NaN": sample.NoStages,
		"infer;dur=1e300":                                {sample.None, sample.None, sample.None, sample.None, 2147483647, sample.None, sample.None},
		"infer, decode;dur, ;;;=,\"":                     sample.NoStages,
		"":                                               sample.NoStages,
	} {
		got := sample.NoStages
		ServerTiming([]byte(text), &got)
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
		whole, used, err := readAll(string(text), false)
		if used > len(text) {
			t.Fatalf("%d of %d bytes", used, len(text))
		}
		if err == nil && (whole.Status < 200 || whole.Status > 999) {
			t.Errorf("status %d without an error", whole.Status)
		}
		for _, us := range whole.StagesUS {
			if us < sample.None {
				t.Errorf("stage of %d us", us)
			}
		}
		var notHTTP Error
		if err != nil && !errors.As(err, &notHTTP) && err != io.ErrUnexpectedEOF {
			t.Errorf("unexpected failure %v", err)
		}
		// However the bytes are cut, the answer is the same.
		cut, cutUsed, cutErr := readAll(string(text), true)
		if cut != whole || cutUsed != used || (cutErr == nil) != (err == nil) {
			t.Errorf("%v of %d bytes in one read and %v, %v of %d and %v byte by byte", whole, used, err, cut, cutUsed, cutErr)
		}
	})
}
