package load

import (
	"errors"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"windtunnel/triton_bench/arrivals"
	"windtunnel/triton_bench/sample"
)

func openFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// These tests look at the whole process, so none of them runs beside others.

func TestARunLeavesNoGoroutineFileOrSettingBehind(t *testing.T) {
	address := serving(t, func(conn net.Conn, n int64) bool {
		if n%7 == 0 {
			time.Sleep(80 * time.Millisecond) // longer than the client waits
		}
		return n%5 != 0 && answered(conn, n)
	})
	for _, client := range []string{Raw, NetHTTP} {
		for _, open := range []bool{false, true} {
			c := posting(address)
			c.Client, c.Threads, c.Clients, c.Timeout, c.Duration = client, 2, 6, 50*time.Millisecond, 100*time.Millisecond
			if open {
				c = c.arriving(t, 200, arrivals.Constant)
			}
			done(t, New(c)) // what the runtime itself opens once
			time.Sleep(200 * time.Millisecond)
			files, goroutines, processors := openFiles(t), runtime.NumGoroutine(), runtime.GOMAXPROCS(0)
			for range 3 {
				done(t, New(c))
			}
			if now := runtime.GOMAXPROCS(0); now != processors {
				t.Errorf("%s: GOMAXPROCS was %d and is %d", client, processors, now)
			}
			// The server's side of a connection, and net/http's, end a moment later.
			settled := func() bool { return openFiles(t) <= files && runtime.NumGoroutine() <= goroutines }
			for until := time.Now().Add(5 * time.Second); !settled() && time.Now().Before(until); {
				time.Sleep(10 * time.Millisecond)
			}
			if !settled() {
				t.Errorf("%s, open %v: files %d, before %d; goroutines %d, before %d", client, open,
					openFiles(t), files, runtime.NumGoroutine(), goroutines)
			}
		}
	}
}

func TestARunCanBeInterruptedAtAnyTime(t *testing.T) {
	for name, interrupt := range map[string]func(r *Run){
		"before": func(r *Run) { r.Interrupt() },
		"twice":  func(r *Run) { r.Interrupt(); r.Interrupt() },
		"while":  func(r *Run) { time.AfterFunc(20*time.Millisecond, r.Interrupt) },
		"often": func(r *Run) {
			for i := range 50 {
				time.AfterFunc(time.Duration(i)*time.Millisecond, r.Interrupt)
			}
		},
	} {
		for _, client := range []string{Raw, NetHTTP} {
			for _, open := range []bool{false, true} {
				c := posting(serving(t, func(net.Conn, int64) bool { return true })) // answers nothing
				c.Client, c.Clients, c.Threads, c.Duration = client, 4, 2, time.Minute
				if open {
					c = c.arriving(t, 500, arrivals.Constant)
				}
				r := New(c)
				if err := r.Reach(); err != nil {
					t.Fatal(err)
				}
				r.Begin()
				interrupt(r)
				started := time.Now()
				rows := collected(t, r)
				if took := time.Since(started); took > 3*time.Second || !r.Interrupted() {
					t.Errorf("%s, %s, open %v: took %v", name, client, open, took)
				}
				if got := outcomes(rows).Censored; got != int64(len(rows)) {
					t.Errorf("%s, %s, open %v: %d of %d requests are censored", name, client, open, got, len(rows))
				}
				r.Interrupt() // after its end
				r.Stop()
			}
		}
	}
}

func TestRowsThatCannotBeWrittenEndTheRun(t *testing.T) {
	full := errors.New("disk full")
	for _, client := range []string{Raw, NetHTTP} {
		c := posting(serving(t, answered))
		c.Client, c.Clients, c.Duration = client, 3, time.Minute
		r := New(c)
		if err := r.Reach(); err != nil {
			t.Fatal(err)
		}
		r.Begin()
		calls := 0
		err := r.Do(func([]sample.Row) error { calls++; return full })
		if !errors.Is(err, full) || calls != 1 {
			t.Errorf("%s: %v after %d calls", client, err, calls)
		}
	}
}

func TestAConnectionThatNobodyUsedIsGivenUp(t *testing.T) {
	closed := make(chan struct{})
	address := accepting(t, func(conn net.Conn) {
		conn.Read(make([]byte, 1))
		close(closed)
	})
	r := New(posting(address))
	if err := r.Reach(); err != nil {
		t.Fatal(err)
	}
	r.Leave()
	select {
	case <-closed:
	case <-time.After(5 * time.Second):
		t.Error("the connection is still open")
	}
	r.Leave()
}

func TestAServiceThatIsNotThereIsOneLine(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	err = New(posting(address)).Reach()
	if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "start it or correct --url") {
		t.Errorf("%v", err)
	}
}
