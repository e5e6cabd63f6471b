package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"windtunnel/triton_bench/report"
)

func TestWhatIsPrintedWhere(t *testing.T) {
	t.Parallel()
	url, _ := counting(t, time.Millisecond)
	base := []string{"--url", url, "--images", folderOf(t, 1), "--warmup", "0", "--calibrate", "0", "--duration", "1200ms"}
	for _, given := range []struct {
		flags          string
		stdout, stderr func(string) bool
	}{
		{"", people, lines("ok/s")},
		{"--json", summary, lines("ok/s")},
		{"--quiet", empty, quiet},
		{"--quiet --json", summary, empty},
		{"--progress none", people, empty},
		{"--progress json --json", summary, lines(`"elapsed_s":`)},
		{"--progress line", people, func(text string) bool { return strings.HasPrefix(text, "\r") && strings.HasSuffix(text, "\r\x1b[K") }},
	} {
		t.Run(given.flags, func(t *testing.T) {
			t.Parallel()
			got := program(t, append(base, strings.Fields(given.flags)...)...)
			if got.status != exitMeasured || !given.stdout(got.stdout) || !given.stderr(got.stderr) {
				t.Errorf("status %d\nstdout %q\nstderr %q", got.status, got.stdout, got.stderr)
			}
		})
	}
}

func empty(text string) bool { return text == "" }

// quiet tells whether nothing is said but that the measurement is not valid: seven at once, that may be so.
func quiet(text string) bool {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "triton_bench: INVALID: ") {
			return false
		}
	}
	return true
}

func people(text string) bool { return strings.Contains(text, "P99") && !json.Valid([]byte(text)) }

func summary(text string) bool {
	var s report.Summary
	return strings.Count(text, "\n") == 1 && json.Unmarshal([]byte(text), &s) == nil && s.Measured.OK > 0
}

// lines tells whether there are whole lines with the words in them, as there is one each second.
func lines(words string) func(string) bool {
	return func(text string) bool { return strings.HasSuffix(text, "\n") && strings.Contains(text, words) }
}

func TestAnOutputFileIsWholeOrAbsent(t *testing.T) {
	t.Parallel()
	url, _ := counting(t, time.Millisecond)
	folder := t.TempDir()
	path := filepath.Join(folder, "out.json")
	if err := os.WriteFile(path, []byte("older"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := program(t, quickly(t, url, 1, "--requests", "3", "--output", path)...)
	text, err := os.ReadFile(path)
	if err != nil || got.status != exitMeasured {
		t.Fatalf("status %d, %v; %s", got.status, err, got.stderr)
	}
	if s := decoded[report.Summary](t, string(text)); s.Measured.OK != 3 || !strings.HasSuffix(string(text), "}\n") {
		t.Errorf("%s", text)
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 1 {
		t.Errorf("%d files are in the folder", len(entries))
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o644 {
		t.Errorf("its mode is %v", info.Mode())
	}
	// Nobody waits for a load whose result cannot be kept.
	for _, wrong := range []string{filepath.Join(folder, "no", "out.json"), folder} {
		got = program(t, quickly(t, url, 1, "--requests", "3", "--output", wrong)...)
		if got.status != exitUsage || !strings.Contains(got.stderr, "--output") || got.stdout != "" {
			t.Errorf("status %d: %s", got.status, got.stderr)
		}
	}
	// A measurement that breaks says so, and what it counted until then is written all the same.
	silent := answering(t, say("garbage\r\n"))
	got = program(t, quickly(t, silent, 1, "--requests", "3", "--output", path)...)
	text, err = os.ReadFile(path)
	if s := decoded[report.Summary](t, string(text)); err != nil || got.status != exitBroken || s.Accounting.TransportError != 3 {
		t.Errorf("status %d: %s", got.status, text)
	}
}
