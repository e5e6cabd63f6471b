package http1

import "bytes"

// parseStatusLine tells the status, and whether an answer of this version ends its connection.
func parseStatusLine(line []byte) (status int32, closes bool, err error) {
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

// field reads one field of the head and returns the body's length as known with it. The length of
// its name rules out most fields before they are compared.
func (p *Parser) field(line []byte) (int64, error) {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return 0, notHTTP("not a header", line)
	}
	name, value := line[:colon], line[colon+1:]
	if bytes.IndexByte(name, ' ') >= 0 || bytes.IndexByte(name, '\t') >= 0 {
		return 0, notHTTP("not a header", line)
	}
	switch {
	case len(name) == len("Content-Length") && bytes.EqualFold(name, []byte("Content-Length")):
		return contentLength(bytes.TrimSpace(value), p.length)
	case len(name) == len("Transfer-Encoding") && bytes.EqualFold(name, []byte("Transfer-Encoding")):
		if value = bytes.TrimSpace(value); !bytes.EqualFold(value, []byte("chunked")) {
			return 0, notHTTP("a transfer coding other than chunked", value)
		}
		return chunked, nil
	case len(name) == len("Connection") && bytes.EqualFold(name, []byte("Connection")):
		p.connection(value)
	case len(name) == len("Server-Timing") && bytes.EqualFold(name, []byte("Server-Timing")):
		ServerTiming(value, &p.StagesUS)
	}
	return p.length, nil
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
		return 0, notHTTP("a second Content-Length that differs from the first", value)
	}
	if before == chunked {
		return chunked, nil
	}
	return n, nil
}

func (p *Parser) connection(value []byte) {
	for token := range bytes.SplitSeq(value, []byte(",")) {
		switch token = bytes.TrimSpace(token); {
		case bytes.EqualFold(token, []byte("close")):
			p.Closes = true
			return
		case bytes.EqualFold(token, []byte("keep-alive")):
			p.Closes = false // an HTTP/1.0 server that keeps the connection
		}
	}
}

func parseChunkSize(line []byte) (size int64, err error) {
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
