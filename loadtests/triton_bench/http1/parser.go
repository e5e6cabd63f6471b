// Package http1 reads HTTP/1.1 answers as their bytes arrive. It never waits and never looks at the
// network, so that one thread can follow thousands of connections, and so that it can be fuzzed.
package http1

import (
	"bytes"
	"fmt"
	"io"

	"windtunnel/triton_bench/sample"
)

// Limits of an answer. A head that outgrows them is an Error, whatever comes after.
const (
	LineLimit = 8 << 10  // one line of the head
	HeadLimit = 64 << 10 // all lines of an answer: interim heads, head, trailers
)

// An Error is an answer that is not HTTP/1.1 as this client understands it.
type Error string

func (e Error) Error() string { return string(e) }

func notHTTP(what string, found []byte) error {
	return Error(fmt.Sprintf("%s: %.60q", what, found))
}

// An Answer is what a request's row needs to know of the reply.
type Answer struct {
	Status   int32
	Closes   bool // the connection must not be used again
	StagesUS [sample.StageCount]int32
}

// A state says what the next bytes are.
type state uint8

const (
	statusLine state = iota
	fields
	body
	bodyUntilClose
	chunkSize
	chunk
	chunkEnd
	trailers
	complete
)

// Lengths of a body that are not a number of bytes.
const (
	untilClose = -1
	chunked    = -2
)

// A Parser takes one answer apart. It keeps at most one line of it: a server can make it wait, but
// cannot make it grow. Reset it before each answer.
type Parser struct {
	Answer
	state     state
	length    int64 // of the body, as far as the fields have told
	left      int64 // bytes to come of the body or of the chunk
	headBytes int
	cut       []byte // beginning of a line whose end has not come
}

// Reset makes the parser ready for the next answer.
func (p *Parser) Reset() {
	*p = Parser{Answer: Answer{StagesUS: sample.NoStages}, cut: p.cut[:0]}
}

// Feed takes bytes that have arrived. used is how many of them belong to the answer, done that it is
// complete. An Error ends the reading; p then holds what was understood until then.
func (p *Parser) Feed(b []byte) (used int, done bool, err error) {
	for used < len(b) && p.state != complete {
		switch p.state {
		case bodyUntilClose:
			used = len(b)
		case body, chunk:
			n := min(p.left, int64(len(b)-used))
			used += int(n)
			p.passed(n)
		default:
			line, n, err := p.line(b[used:])
			used += n
			if err == nil && line != nil {
				err = p.take(line)
			}
			if err != nil {
				return used, false, err
			}
		}
	}
	return used, p.state == complete, nil
}

// Closed is called when the server has closed the connection. An answer without a length ends so;
// any other is cut off, and the error is io.ErrUnexpectedEOF.
func (p *Parser) Closed() error {
	if p.state != bodyUntilClose {
		return io.ErrUnexpectedEOF
	}
	p.state = complete
	return nil
}

func (p *Parser) passed(n int64) {
	if p.left -= n; p.left > 0 {
		return
	}
	if p.state == chunk {
		p.state = chunkEnd
	} else {
		p.state = complete
	}
}

// line returns the next line without its end, or nil when that has not come. It is valid until the
// next call.
func (p *Parser) line(b []byte) (line []byte, used int, err error) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		if len(p.cut)+len(b) >= LineLimit {
			return nil, len(b), Error(fmt.Sprintf("a line of the head is over %d bytes", LineLimit))
		}
		p.cut = append(p.cut, b...)
		return nil, len(b), nil
	}
	used, line = i+1, b[:i]
	if len(p.cut) > 0 {
		p.cut = append(p.cut, line...)
		line = p.cut
		p.cut = p.cut[:0]
	}
	if len(line) >= LineLimit {
		return nil, used, Error(fmt.Sprintf("a line of the head is over %d bytes", LineLimit))
	}
	// Chunk sizes are part of the body; each has the limit of a line.
	if p.state != chunkSize && p.state != chunkEnd {
		if p.headBytes += len(line) + 1; p.headBytes > HeadLimit {
			return nil, used, Error(fmt.Sprintf("the head is over %d bytes", HeadLimit))
		}
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, used, nil
}

func (p *Parser) take(line []byte) (err error) {
	switch p.state {
	case statusLine:
		p.state, p.length = fields, untilClose
		p.Status, p.Closes, err = parseStatusLine(line)
	case fields:
		if len(line) == 0 {
			return p.headEnds()
		}
		p.length, err = p.field(line)
	case chunkSize:
		p.left, err = parseChunkSize(line)
		p.state = chunk
		if p.left == 0 {
			p.state = trailers
		}
	case chunkEnd:
		p.state = chunkSize
		if len(line) != 0 {
			err = notHTTP("a chunk longer than its size", line)
		}
	case trailers:
		if len(line) == 0 {
			p.state = complete
		}
	}
	return err
}

// headEnds decides what follows an empty line.
func (p *Parser) headEnds() error {
	switch {
	case p.Status == 101:
		return Error("101 switches to a protocol that was not asked for")
	case p.Status < 200: // an interim answer; the real one follows
		p.state = statusLine
	case p.Status == 204, p.Status == 304, p.length == 0:
		p.state = complete
	case p.length == chunked:
		p.state = chunkSize
	case p.length == untilClose:
		p.Closes, p.state = true, bodyUntilClose
	default:
		p.left, p.state = p.length, body
	}
	return nil
}
