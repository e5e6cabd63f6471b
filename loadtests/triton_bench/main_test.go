package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"windtunnel/triton_bench/report"
)

// asProgram makes this test binary the program itself, for tests that need a process of their own.
const asProgram = "TRITON_BENCH_TEST_AS_PROGRAM"

// sharedFolder is for what several tests use.
var sharedFolder string

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	probeDuration, burstLength = 300*time.Millisecond, 250*time.Millisecond
	guessDuration, shortestProbe = 500*time.Millisecond, 200*time.Millisecond
	var err error
	if err = flag.Set("test.parallel", "4"); err != nil { // most of what they do is wait; -parallel wins
		panic(err)
	}
	if sharedFolder, err = os.MkdirTemp("", "triton_bench"); err != nil {
		panic(err)
	}
	status := m.Run()
	os.RemoveAll(sharedFolder)
	os.Exit(status)
}

// said is what a call of the program left.
type said struct {
	status         int
	stdout, stderr string
}

// program runs the whole program in this process.
func program(t *testing.T, arguments ...string) said {
	t.Helper()
	stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	var stdout strings.Builder
	status := command(arguments, &stdout, stderr)
	text, err := os.ReadFile(stderr.Name())
	if err != nil {
		t.Fatal(err)
	}
	return said{status, stdout.String(), string(text)}
}

// child is the program in a process of its own, started by a shell line that ends in `exec "$0" "$@"`.
func child(t *testing.T, shell string, arguments ...string) (c *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c = exec.Command("sh", append([]string{"-c", shell, self}, arguments...)...)
	c.Env = append(os.Environ(), asProgram+"=1")
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	c.Stdout, c.Stderr = stdout, stderr
	return c, stdout, stderr
}

// folderOf makes a folder of images, 00.jpg and so on, each different.
func folderOf(t *testing.T, images int) string {
	t.Helper()
	folder := t.TempDir()
	for i := range images {
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%02d.jpg", i)), fmt.Appendf(nil, "image %d", i), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// quickly are flags for a test: few images, no calibration, and JSON.
func quickly(t *testing.T, url string, images int, more ...string) []string {
	t.Helper()
	return append([]string{"--url", url, "--images", folderOf(t, images), "--warmup", "0", "--calibrate", "0", "--json"}, more...)
}

func decoded[T any](t *testing.T, text string) (value T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return value
}

// several is a session of several loads, as JSON.
type several struct {
	Version  int
	Tool     string
	Mode     string
	Runs     []report.Summary
	LeftOut  map[string]string `json:"left_out"`
	Capacity map[string]struct {
		Status   string
		HeldRPS  float64 `json:"held_rps"`
		Finished bool
		Probes   []struct {
			RateRPS float64 `json:"rate_rps"`
			Verdict string
			Within  int64
			Over    int64
		}
	}
}

func rowsOf(t *testing.T, path string) []fileRow {
	t.Helper()
	rows, err := parquet.ReadFile[fileRow](path)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}
