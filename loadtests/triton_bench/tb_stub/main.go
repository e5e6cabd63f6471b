// Command tb_stub answers HTTP requests after exactly known delays: the truth that triton_bench is
// checked against. It counts what it saw, so that a test can compare.
//
//	tb_stub --mode constant --delay 10ms
//	tb_stub --mode bimodal --delay 10ms --slow 50ms --slow-every 10
//	tb_stub --mode freeze --delay 5ms --freeze 2s --freeze-at 100
//	tb_stub --mode null --log arrivals.bin
//
// Mode null answers at once and as cheaply as it can, so that what is measured is the client; with
// --log it writes down when each request arrived, by the kernel's clock.
//
// It prints its address, serves until it is killed, and answers GET /stats with what it saw.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// behaviour is when and what the stub answers.
type behaviour struct {
	mode              string
	delay, slow       time.Duration
	slowEvery         int64
	freeze            time.Duration
	freezeAt          int64 // the request whose arrival starts the freeze
	failEvery         int64 // these requests get 500
	closeEvery        int64 // the connection is closed after these
	dropEvery         int64 // these get no answer, the connection is closed
	silentEvery       int64 // these get no answer, the connection stays
	serverTiming      string
	requests, dialled atomic.Int64
	frozenUntilNS     atomic.Int64
	frozenAtUnixNS    atomic.Int64
	start             time.Time
}

func main() {
	debug.SetGCPercent(800) // a collection is a delay that nobody asked for
	b := &behaviour{start: time.Now()}
	listen := flag.String("listen", "127.0.0.1:0", "address; port 0 takes a free one")
	flag.StringVar(&b.mode, "mode", "constant", "constant, bimodal, freeze or null")
	flag.DurationVar(&b.delay, "delay", 10*time.Millisecond, "from the last byte of a request to its answer")
	flag.DurationVar(&b.slow, "slow", 50*time.Millisecond, "bimodal: delay of the slow requests")
	flag.Int64Var(&b.slowEvery, "slow-every", 10, "bimodal: every how many requests one is slow")
	flag.DurationVar(&b.freeze, "freeze", 2*time.Second, "freeze: how long nothing is answered")
	flag.Int64Var(&b.freezeAt, "freeze-at", 100, "freeze: number of the request that starts it")
	flag.Int64Var(&b.failEvery, "fail-every", 0, "answer 500 to every N-th request")
	flag.Int64Var(&b.closeEvery, "close-every", 0, "close the connection after every N-th answer, unannounced")
	flag.Int64Var(&b.dropEvery, "drop-every", 0, "close the connection instead of every N-th answer")
	flag.Int64Var(&b.silentEvery, "silent-every", 0, "never answer every N-th request")
	flag.StringVar(&b.serverTiming, "server-timing", "", "value of the Server-Timing field")
	logPath := flag.String("log", "", "null: write when each request arrived to this file")
	flag.Parse()
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		fmt.Fprintf(os.Stderr, "tb_stub: --listen %s: %v; expected a free address\n", *listen, err)
		os.Exit(2)
	}
	if *logPath != "" && b.mode != "null" {
		fmt.Fprintf(os.Stderr, "tb_stub: --log with --mode %s; expected --mode null\n", b.mode)
		os.Exit(2)
	}
	if b.mode == "null" {
		fail(b.null(listener, *logPath))
	}
	fmt.Printf("http://%s\n", listener.Addr())
	fail(b.accept(listener))
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "tb_stub: %v\n", err)
	os.Exit(1)
}

// null serves in mode null.
func (b *behaviour) null(listener net.Listener, logPath string) error {
	var log *arrivalLog
	if logPath != "" {
		var err error
		if log, err = createArrivalLog(logPath); err != nil {
			return fmt.Errorf("--log: %w", err)
		}
	}
	fmt.Printf("http://%s\n", listener.Addr())
	return b.serveNull(listener, log)
}

// accept serves in the other modes.
func (b *behaviour) accept(listener net.Listener) error {
	runtime.GOMAXPROCS(256) // a thread that sleeps in the kernel keeps its processor for a while
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		b.dialled.Add(1)
		go b.serve(conn)
	}
}
