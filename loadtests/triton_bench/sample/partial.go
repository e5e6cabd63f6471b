package sample

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
)

// A partial grows beside its final name and takes it only when it is complete.
type partial struct {
	flag     string // that asked for it, for messages
	path     string
	file     *os.File
	buffer   *bufio.Writer
	complete bool
}

func createPartial(flag, path string) (*partial, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s %s: is a folder; expected a file name", flag, path)
	}
	file, err := os.Create(path + ".partial")
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w; expected a file name in a folder that can be written to", flag, path, err)
	}
	return &partial{flag: flag, path: path, file: file, buffer: bufio.NewWriterSize(file, 256<<10)}, nil
}

func (p *partial) failed(err error) error {
	return fmt.Errorf("%s %s: cannot be written: %w; nothing of it was kept; free some space or choose another disk",
		p.flag, p.path, err)
}

// finish makes the file complete, durable and visible, in this order.
func (p *partial) finish() error {
	for _, step := range []func() error{
		p.buffer.Flush, p.file.Sync, p.file.Close,
		func() error { return os.Rename(p.file.Name(), p.path) },
	} {
		if err := step(); err != nil {
			return p.failed(err)
		}
	}
	p.complete = true
	// The name is durable once its folder is; not every file system can do this, so it may fail.
	if folder, err := os.Open(filepath.Dir(p.path)); err == nil {
		folder.Sync()
		folder.Close()
	}
	return nil
}

// Discard removes what was written, unless the file is complete.
func (p *partial) Discard() {
	if !p.complete {
		p.file.Close()
		os.Remove(p.file.Name())
	}
}
