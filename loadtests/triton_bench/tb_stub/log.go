package main

import (
	"bufio"
	"encoding/binary"
	"os"
)

// arrivalLog writes when each request arrived: 8 bytes each, little-endian nanoseconds of the wall
// clock, in the order of the arrivals. GET /stats brings it up to date. A nil log takes no times.
type arrivalLog struct{ out *bufio.Writer }

func createArrivalLog(path string) (*arrivalLog, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &arrivalLog{bufio.NewWriterSize(file, 1<<20)}, nil
}

func (l *arrivalLog) add(unixNS int64) {
	if l != nil {
		var bytes [8]byte
		binary.LittleEndian.PutUint64(bytes[:], uint64(unixNS))
		l.out.Write(bytes[:]) // an error stays until flush
	}
}

func (l *arrivalLog) flush() error {
	if l == nil {
		return nil
	}
	return l.out.Flush()
}
