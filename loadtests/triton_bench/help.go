package main

const help = `triton_bench sends images to an HTTP service and writes down when each request was due, sent and answered.

usage: triton_bench [--url URL] [--clients N | --rate R | --mode MODE | --slo P99=T] [flags]

where
  --url URL            where requests go; without a path, /predict/small (default http://127.0.0.1:9600)
  --track NAME         a track by the seed's paths: A, B, C, D, D_streaming, D_batch, or all that answer
  --client HOW         raw: HTTP/1.1 over connections of its own (default for http://); nethttp: Go's
                       net/http, for TLS, HTTP/2 and redirects (default for https://)
  --http2              nethttp: HTTP/2, also without TLS
  --insecure           nethttp: accept any certificate

closed loop: each client sends when its last request was answered
  --clients N          clients (default 1)
  --mode MODE          a prepared test: single, set, quick, full, all, sustained, variable or matrix
  --list-modes         tell what each mode does, and its defaults
  --load-pattern P     variable: constant, burst or ramp (default constant)
  --burst-interval D   variable, burst: pause between bursts of 5 s (default 10s)
  --ramp-step N        variable, ramp: clients added at each step (default 16)
  --matrix-clients L   matrix, sustained: numbers of clients (default 1,10,50,100,256; sustained 16,32,64,128,256)

open loop: requests are sent on time whether or not others were answered
  --rate R             requests a second
  --arrivals A         constant, poisson or gamma: how the gaps between arrivals vary (default constant)
  --shape K            gamma: below 1 in bursts, 1 as poisson, above 1 more even (default 0.5)
  --steps R,R,...      one rate after another, each for --duration, each reported by itself
  --ramp R..R          the rate changes evenly over --duration, as in 10..100
  --replay FILE        the due times of a sample file again, its warm-up included
  --speed X            replay so many times as fast (default 1)
  --max-connections N  connections at most; further arrivals wait, their due time kept (default 4096)
  --slo P99=T          search the highest rate that holds the objective, as in p99=250ms; --rate is where
                       the search begins

length
  --warmup D           load before the measured time, recorded as such (default 2s)
  --duration D         measured time; "10", "10s" and "2m" are durations (default 10s, or the mode's)
  --requests N         stop after N measured requests; without --duration, only then
  --min-requests N     go on after --duration until N requests were measured, up to 4 times as long
  --timeout D          give a request up this long after it was sent (default 30s)

requests
  --image FILE         send this image
  --images DIR         send the images of this folder (default loadtests/images)
  --limit N            use only the first N images, by name
  --body FORM          multipart (field "image") or raw (default multipart)
  --method M           POST, or GET without a body (default POST)
  --trace-ratio X      share of the requests whose traceparent asks to be traced (default 0.01)
  --label NAME=VALUE   of loadtest_run_info in the metrics; campaign, run, variant and cell also go into
                       the baggage of the requests that ask to be traced; may be repeated
  --seed S             order of the images and random arrivals (default 1)

output
  --samples FILE       write one row for each request to this Parquet file; of several loads, one file each
  --hlog FILE          write an HdrHistogram log, an interval a second
  --output FILE        write the JSON summary to this file
  --json               print the summary as one JSON object
  --metrics-addr A     serve Prometheus metrics at this address while it runs, as in 127.0.0.1:9646
  --progress HOW       on standard error: auto, line (one line, rewritten), plain (a line a second), json,
                       none (default auto: line on a terminal, else plain)
  --quiet              no progress and no summary, except with --json

instrument
  --threads N          threads that send (default 1, enough for tens of thousands of requests a second)
  --calibrate D        before the load, find what this machine's instrument can do with a server of its
                       own, in a closed loop for this long; 0 leaves it out (default 250ms)

Exit status: 0 measured; 1 the measurement is broken; 2 wrong usage; 130 interrupted, with what was measured.
A measurement that the instrument itself limited is printed as INVALID with the reason, and exits with 0.
Response time counts from when a request was due, service time from when it was sent, both to the last byte.

examples
  triton_bench --clients 8 --duration 30s
  triton_bench --mode quick
  triton_bench --mode matrix --matrix-clients 1,10,50 --duration 10s --output matrix.json
  triton_bench --rate 40 --arrivals poisson --samples run.parquet --json
  triton_bench --steps 20,40,80 --duration 30s --hlog run.hlog
  triton_bench --replay monday.parquet --speed 2
  triton_bench --slo p99=250ms --url http://127.0.0.1:9600/predict/nano
  triton_bench --url http://127.0.0.1:8080/detect --image cat.jpg --body raw --requests 1000
`
