package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"windtunnel/triton_bench/load"
)

func TestWrongUsageIsOneLineAndStatus2(t *testing.T) {
	empty := t.TempDir()
	image := filepath.Join(empty, "x.txt")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, given := range []struct{ arguments, says string }{
		{"--url https://127.0.0.1:1 --client raw", "speaks no TLS"},
		{"--insecure", "belong to --client nethttp"},
		{"--client curl", "expected raw or nethttp"},
		{"--mode fast", "expected single, set, quick, full, all, sustained, variable or matrix"},
		{"--mode quick --rate 3", "both given"},
		{"--mode variable --load-pattern wave", "expected constant, burst or ramp"},
		{"--load-pattern ramp", "given without --mode"},
		{"--mode variable --ramp-step 0 --load-pattern ramp", "at least 1 client"},
		{"--matrix-clients 1,0", "numbers of clients from 1"},
		{"--track E", "expected A, B, C"},
		{"--track A --url http://127.0.0.1:1/x", "a path of its own"},
		{"--arrivals poisson", "given without --rate"},
		{"--rate 3 --arrivals often", "expected constant, poisson or gamma"},
		{"--rate 3 --arrivals gamma --shape 0", "from 0.001"},
		{"--steps 1,x", "expected rates from 0"},
		{"--ramp 10", "as in 10..100"},
		{"--ramp 0..0", "both rates are 0"},
		{"--steps 0,0", "every rate is 0"},
		{"--replay /nowhere.parquet --image " + image, "--replay"},
		{"--slo fast", "--slo fast"},
		{"--slo p99=1s --clients 3", "both given"},
		{"--method PUT", "expected POST or GET"},
		{"--trace-ratio 2", "share from 0 to 1"},
		{"--label campaign", "expected NAME=VALUE"},
		{"--label 1st=x", "letters, digits and _"},
		{"--label __name=x", "not beginning with a digit or __"},
		{"--label clients=8", "triton_bench tells clients itself"},
		{"--label run=a --label run=b", "each name once"},
		{"--label run=\xff", "in UTF-8"},
		{"--label run=" + strings.Repeat("%", 3000), "makes a baggage of 9013 bytes; expected at most 8192"},
		{"--threads 0", "expected 1 to 64"},
		{"--speed 2", "given without --replay"},
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
	for given, want := range map[string]load.Target{
		"http://h":                     {URL: "http://h/predict/small", Scheme: "http", Host: "h", Dial: "h:80", Path: "/predict/small"},
		"https://h/x":                  {URL: "https://h/x", Scheme: "https", Host: "h", Dial: "h:443", Path: "/x"},
		"http://127.0.0.1:9600":        {URL: "http://127.0.0.1:9600/predict/small", Scheme: "http", Host: "127.0.0.1:9600", Dial: "127.0.0.1:9600", Path: "/predict/small"},
		"http://h/":                    {URL: "http://h/", Scheme: "http", Host: "h", Dial: "h:80", Path: "/"},
		"http://[::1]:8/p?track=null":  {URL: "http://[::1]:8/p?track=null", Scheme: "http", Host: "[::1]:8", Dial: "[::1]:8", Path: "/p?track=null"},
		"http://h/a%20b#only-a-thumb":  {URL: "http://h/a%20b", Scheme: "http", Host: "h", Dial: "h:80", Path: "/a%20b"},
		"http://h?track=A&x=%0d%0aX:1": {URL: "http://h/predict/small?track=A&x=%0d%0aX:1", Scheme: "http", Host: "h", Dial: "h:80", Path: "/predict/small?track=A&x=%0d%0aX:1"},
	} {
		if got, err := parseTarget(given, defaultPath); err != nil || got != want {
			t.Errorf("%s: %+v %v, want %+v", given, got, err, want)
		}
	}
}

func TestAPayloadIsAWholeRequest(t *testing.T) {
	to, _ := parseTarget("http://h:1/p", "")
	raw := newPayload(&options{method: "POST", body: "raw"}, to, image{"a.png", []byte("png")})
	if !strings.HasPrefix(string(raw.Head), "POST /p HTTP/1.1\r\nHost: h:1\r\n"+load.TraceparentField) ||
		!strings.HasSuffix(string(raw.Head), "Content-Type: image/png\r\nContent-Length: 3\r\n\r\n") || string(raw.Body) != "png" {
		t.Errorf("%s%s", raw.Head, raw.Body)
	}
	parts := newPayload(&options{method: "POST", body: "multipart"}, to, image{`a"b.jpg`, []byte("jpeg")})
	want := "--" + multipartBoundary + "\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a%22b.jpg\"\r\n" +
		"Content-Type: image/jpeg\r\n\r\njpeg\r\n--" + multipartBoundary + "--\r\n"
	if string(parts.Body) != want {
		t.Errorf("%q", parts.Body)
	}
	get := newPayload(&options{method: "GET", body: "raw"}, to, image{})
	if text := string(get.Head); !strings.HasPrefix(text, "GET /p HTTP/1.1") || strings.Contains(text, "Content-") || get.Body != nil {
		t.Errorf("%s%s", text, get.Body)
	}
}
