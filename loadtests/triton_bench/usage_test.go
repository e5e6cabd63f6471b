package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWrongUsageIsOneLineAndStatus2(t *testing.T) {
	empty := t.TempDir()
	image := filepath.Join(empty, "x.txt")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, given := range []struct{ arguments, says string }{
		{"--url https://127.0.0.1:1 --image " + image, "https is not spoken here"},
		{"--url ftp://127.0.0.1:1", `scheme "ftp"`},
		{"--url nonsense", "not a URL"},
		{"--url http://", "not a URL"},
		{"--image /nowhere.jpg", "not a file"},
		{"--images /nowhere", "not a folder"},
		{"--images " + empty, "no images among 1 entries"},
		{"--clients 2 --rate 3", "both given"},
		{"--clients 0", "expected 1 to 65536"},
		{"--rate 0", "over 0"},
		{"--rate NaN", "over 0"},
		{"--rate -1", "over 0"},
		{"--rate x", "--rate"},
		{"--requests 0", "at least 1"},
		{"--duration 0", "nothing would be measured"},
		{"--duration soon", "expected a duration such as 10"},
		{"--timeout 0", "given up"},
		{"--warmup -1s", "expected a duration"},
		{"--max-connections 3", "without --rate"},
		{"--body json", "multipart or raw"},
		{"--progress maybe", "expected auto"},
		{"--clints 3", "--clints: no such flag"},
		{"--clients", "no value"},
		{"http://127.0.0.1", "belongs to no flag"},
		{"--image " + image + " --samples /nowhere/x.parquet", "can be written to"},
		{"--image " + image + " --samples " + empty, "is a folder"},
	} {
		t.Run(given.arguments, func(t *testing.T) {
			stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
			if err != nil {
				t.Fatal(err)
			}
			defer stderr.Close()
			var stdout strings.Builder
			status := command(strings.Fields(given.arguments), &stdout, stderr)
			said, _ := os.ReadFile(stderr.Name())
			if status != exitUsage || !strings.Contains(string(said), given.says) || strings.Count(string(said), "\n") != 1 || stdout.Len() > 0 {
				t.Errorf("status %d, %q; want 2 and %q", status, said, given.says)
			}
		})
	}
}

func TestAnUnreachableServiceIsOneLineAndStatus1(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + listener.Addr().String()
	listener.Close()
	b := runBench(t, url)
	if b.status != exitBroken || !strings.Contains(b.stderr, "cannot connect") || strings.Count(b.stderr, "\n") != 1 || b.rows != nil {
		t.Errorf("status %d: %s", b.status, b.stderr)
	}
}

func TestDurationsAreSecondsOrGoSyntax(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"10": 10 * time.Second, "0.5": 500 * time.Millisecond, "10s": 10 * time.Second, "2m": 2 * time.Minute,
	} {
		o, err := parseOptions([]string{"--duration", text, "--requests", "1"})
		if err != nil || o.duration != want {
			t.Errorf("%s: %v %v, want %v", text, o, err, want)
		}
	}
}

func TestATargetWithoutAPathIsTheSeedsDefault(t *testing.T) {
	for given, want := range map[string]target{
		"http://h":                     {"http://h/predict/small", "h", "h:80", "/predict/small"},
		"http://127.0.0.1:9600":        {"http://127.0.0.1:9600/predict/small", "127.0.0.1:9600", "127.0.0.1:9600", "/predict/small"},
		"http://h/":                    {"http://h/", "h", "h:80", "/"},
		"http://[::1]:8/p?track=null":  {"http://[::1]:8/p?track=null", "[::1]:8", "[::1]:8", "/p?track=null"},
		"http://h/a%20b#only-a-thumb":  {"http://h/a%20b", "h", "h:80", "/a%20b"},
		"http://h?track=A&x=%0d%0aX:1": {"http://h/predict/small?track=A&x=%0d%0aX:1", "h", "h:80", "/predict/small?track=A&x=%0d%0aX:1"},
	} {
		if got, err := parseTarget(given); err != nil || got != want {
			t.Errorf("%s: %+v %v, want %+v", given, got, err, want)
		}
	}
}

func TestAPayloadIsAWholeRequest(t *testing.T) {
	to, _ := parseTarget("http://h:1/p")
	raw := newPayload("raw", to, "a.png", []byte("png"))
	if !strings.HasPrefix(string(raw.head), "POST /p HTTP/1.1\r\nHost: h:1\r\n"+traceparentHeader) ||
		!strings.HasSuffix(string(raw.head), "Content-Type: image/png\r\nContent-Length: 3\r\n\r\n") || string(raw.body) != "png" {
		t.Errorf("%s%s", raw.head, raw.body)
	}
	parts := newPayload("multipart", to, `a"b.jpg`, []byte("jpeg"))
	want := "--" + multipartBoundary + "\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a%22b.jpg\"\r\n" +
		"Content-Type: image/jpeg\r\n\r\njpeg\r\n--" + multipartBoundary + "--\r\n"
	if string(parts.body) != want {
		t.Errorf("%q", parts.body)
	}
}

func TestTraceIDsAreStampedInPlace(t *testing.T) {
	ids := newTraceIDs()
	header := []byte(traceparentHeader)
	first := ids.stamp(header)
	if string(header[:16]) != traceparentHeader[:16] || !strings.HasSuffix(string(header), "-00\r\n") ||
		len(header) != len(traceparentHeader) || string(header) == traceparentHeader {
		t.Errorf("%q", header)
	}
	if second := ids.stamp(header); first == second {
		t.Error("two requests with one id")
	}
}
