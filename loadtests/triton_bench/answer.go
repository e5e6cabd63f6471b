package main

import (
	"bytes"
	"fmt"
	"io"
)

// Limits of an answer. A head that outgrows them is a protocol failure, whatever comes after.
const (
	lineLimit = 8 << 10  // one line of the head, and the read buffer
	headLimit = 64 << 10 // all lines of an answer: interim heads, head, chunk sizes' share, trailers
)

// Lengths of a body that are not a number of bytes.
const (
	untilClose = -1
	chunked    = -2
)

// A protocolError is an answer that is not HTTP/1.1 as this client understands it.
type protocolError string

func (e protocolError) Error() string { return string(e) }

func notHTTP(what string, found []byte) error {
	return protocolError(fmt.Sprintf("%s: %.60q", what, found))
}

// An answer is what a request's row needs to know of the reply.
type answer struct {
	status   int32
	closes   bool // the connection must not be used again
	stagesUS [stageCount]int32
}

// A reader takes answers off one connection. Its buffer is fixed: a server can make it wait until
// the connection's deadline, but cannot make it grow.
type reader struct {
	src         io.Reader
	clock       func() int64
	buf         []byte
	start, end  int   // unread part of buf
	received    int64 // bytes of this answer
	firstByteNS int64
	headBytes   int
}

func newReader(src io.Reader, clock func() int64) *reader {
	return &reader{src: src, clock: clock, buf: make([]byte, lineLimit)}
}

// read takes one whole answer: head and body, to the last byte. When it fails, a holds what was
// understood until then.
func (r *reader) read(a *answer) error {
	r.begin(a)
	for {
		length, err := r.head(a)
		if err != nil {
			return err
		}
		if a.status >= 200 {
			return r.body(a, length)
		}
		if a.status == 101 {
			return protocolError("101 switches to a protocol that was not asked for")
		}
	}
}

func (r *reader) begin(a *answer) {
	*a = answer{stagesUS: noStages}
	r.received, r.firstByteNS, r.headBytes = int64(r.end-r.start), none, 0
}

// fill reads more bytes behind the unread ones.
func (r *reader) fill() error {
	if r.start == r.end {
		r.start, r.end = 0, 0
	} else if r.end == len(r.buf) {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	n, err := r.src.Read(r.buf[r.end:])
	if n > 0 {
		if r.firstByteNS == none {
			r.firstByteNS = r.clock()
		}
		r.end += n
		r.received += int64(n)
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// line returns the next line without its end. It is valid until the next read.
func (r *reader) line() ([]byte, error) {
	from := 0
	for {
		unread := r.buf[r.start:r.end]
		if i := bytes.IndexByte(unread[from:], '\n'); i >= 0 {
			i += from
			r.start += i + 1
			if r.headBytes += i + 1; r.headBytes > headLimit {
				return nil, protocolError(fmt.Sprintf("the head is over %d bytes", headLimit))
			}
			return bytes.TrimSuffix(unread[:i], []byte("\r")), nil
		}
		if from = len(unread); from == len(r.buf) {
			return nil, protocolError(fmt.Sprintf("a line of the head is over %d bytes", lineLimit))
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

func (r *reader) head(a *answer) (length int64, err error) {
	line, err := r.line()
	if err != nil {
		return 0, err
	}
	if a.status, a.closes, err = statusLine(line); err != nil {
		return 0, err
	}
	length = untilClose
	for {
		if line, err = r.line(); err != nil {
			return 0, err
		}
		if len(line) == 0 {
			return length, nil
		}
		if length, err = header(a, line, length); err != nil {
			return 0, err
		}
	}
}

func statusLine(line []byte) (status int32, closes bool, err error) {
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[8] != ' ' ||
		(line[7] != '0' && line[7] != '1') || (len(line) > 12 && line[12] != ' ') {
		return 0, false, notHTTP("not an HTTP/1.1 status line", line)
	}
	for _, digit := range line[9:12] {
		if digit < '0' || digit > '9' {
			return 0, false, notHTTP("not a status", line)
		}
		status = status*10 + int32(digit-'0')
	}
	if status < 100 {
		return 0, false, notHTTP("not a status", line)
	}
	return status, line[7] == '0', nil
}

// header reads one field; length is what the fields before it said of the body.
func header(a *answer, line []byte, length int64) (int64, error) {
	name, value, found := bytes.Cut(line, []byte(":"))
	if !found || len(name) == 0 || bytes.ContainsAny(name, " \t") {
		return 0, notHTTP("not a header", line)
	}
	value = bytes.TrimSpace(value)
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		return contentLength(value, length)
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		if !bytes.EqualFold(value, []byte("chunked")) {
			return 0, notHTTP("a transfer coding other than chunked", value)
		}
		return chunked, nil
	case bytes.EqualFold(name, []byte("Connection")):
		connection(a, value)
	case bytes.EqualFold(name, []byte("Server-Timing")):
		serverTiming(value, &a.stagesUS)
	}
	return length, nil
}

// contentLength refuses two lengths that disagree; chunked wins over any length (RFC 9112, 6.3).
func contentLength(value []byte, before int64) (int64, error) {
	if len(value) == 0 || len(value) > 18 { // 18 digits fit an int64
		return 0, notHTTP("not a Content-Length", value)
	}
	var n int64
	for _, digit := range value {
		if digit < '0' || digit > '9' {
			return 0, notHTTP("not a Content-Length", value)
		}
		n = n*10 + int64(digit-'0')
	}
	if before >= 0 && before != n {
		return 0, notHTTP(fmt.Sprintf("a second Content-Length, the first was %d", before), value)
	}
	if before == chunked {
		return chunked, nil
	}
	return n, nil
}

func connection(a *answer, value []byte) {
	for token := range bytes.SplitSeq(value, []byte(",")) {
		switch token = bytes.TrimSpace(token); {
		case bytes.EqualFold(token, []byte("close")):
			a.closes = true
			return
		case bytes.EqualFold(token, []byte("keep-alive")):
			a.closes = false // an HTTP/1.0 server that keeps the connection
		}
	}
}

func (r *reader) body(a *answer, length int64) error {
	var err error
	switch {
	case a.status == 204 || a.status == 304:
	case length == chunked:
		err = r.chunks()
	case length == untilClose:
		a.closes = true
		err = r.toEnd()
	default:
		err = r.skip(length)
	}
	if err == nil && !a.closes && r.start != r.end {
		return notHTTP("bytes after the end of the answer", r.buf[r.start:r.end])
	}
	return err
}

func (r *reader) skip(n int64) error {
	for {
		if unread := int64(r.end - r.start); n <= unread {
			r.start += int(n)
			return nil
		} else {
			n -= unread
		}
		r.start = r.end
		if err := r.fill(); err != nil {
			return err
		}
	}
}

func (r *reader) toEnd() error {
	for {
		r.start = r.end
		if err := r.fill(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func (r *reader) chunks() error {
	head := r.headBytes
	for {
		r.headBytes = head // chunk sizes are part of the body; each line has its own limit
		line, err := r.line()
		if err != nil {
			return err
		}
		size, err := chunkSize(line)
		if err != nil {
			return err
		}
		if size == 0 {
			return r.trailers()
		}
		if err = r.skip(size); err != nil {
			return err
		}
		if line, err = r.line(); err != nil {
			return err
		}
		if len(line) != 0 {
			return notHTTP("a chunk longer than its size", line)
		}
	}
}

func chunkSize(line []byte) (size int64, err error) {
	digits, _, _ := bytes.Cut(line, []byte(";"))
	digits = bytes.TrimSpace(digits)
	if len(digits) == 0 || len(digits) > 15 { // 15 hexadecimal digits fit an int64
		return 0, notHTTP("not a chunk size", line)
	}
	for _, digit := range digits {
		switch {
		case digit >= '0' && digit <= '9':
			size = size<<4 | int64(digit-'0')
		case digit|0x20 >= 'a' && digit|0x20 <= 'f':
			size = size<<4 | int64(digit|0x20-'a'+10)
		default:
			return 0, notHTTP("not a chunk size", line)
		}
	}
	return size, nil
}

func (r *reader) trailers() error {
	for {
		if line, err := r.line(); err != nil || len(line) == 0 {
			return err
		}
	}
}
