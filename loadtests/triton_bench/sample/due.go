package sample

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/parquet-go/parquet-go"
)

// ReadDueNS reads when the requests of a sample file were due, warm-up included, in ascending order,
// and when was measured: what it takes to replay them.
func ReadDueNS(path string) (dueNS []int64, w Window, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, w, fmt.Errorf("%s: %w; expected a sample file", path, errors.Unwrap(err))
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, w, fmt.Errorf("%s: %w; expected a sample file", path, err)
	}
	opened, err := parquet.OpenFile(file, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, w, fmt.Errorf("%s: not a complete Parquet file (%w); expected a sample file", path, err)
	}
	if version, ok := opened.Lookup(versionKey); !ok || version != Version {
		return nil, w, fmt.Errorf("%s: samples of version %q; expected version %s, written by triton_bench or Locust",
			path, version, Version)
	}
	note, _ := opened.Lookup(windowKey)
	if err := json.Unmarshal([]byte(note), &w); err != nil {
		return nil, w, fmt.Errorf("%s: says nothing usable of when was measured; expected JSON under %s", path, windowKey)
	}
	column, ok := opened.Schema().Lookup("due_ns")
	if !ok || column.Node.Type().Kind() != parquet.Int64 {
		return nil, w, fmt.Errorf("%s: no column due_ns of integers; expected a sample file", path)
	}
	dueNS = make([]int64, 0, opened.NumRows())
	for _, group := range opened.RowGroups() {
		if dueNS, err = appendColumn(dueNS, group.ColumnChunks()[column.ColumnIndex]); err != nil {
			return nil, w, fmt.Errorf("%s: damaged (%w); expected a whole file; measure again", path, err)
		}
	}
	slices.Sort(dueNS)
	return dueNS, w, nil
}

func appendColumn(to []int64, chunk parquet.ColumnChunk) ([]int64, error) {
	pages := chunk.Pages()
	defer pages.Close()
	values := make([]parquet.Value, 1024)
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return to, nil
		}
		if err != nil {
			return to, err
		}
		for reader, err := page.Values(), error(nil); err == nil; {
			var n int
			n, err = reader.ReadValues(values)
			for _, value := range values[:n] {
				to = append(to, value.Int64())
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return to, err
			}
		}
		parquet.Release(page)
	}
}
