package report

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// An Exporter serves the metrics of one run while it is under way.
type Exporter struct {
	listener net.Listener
	server   http.Server
	ended    chan error
}

// Serve begins to serve /metrics at a TCP address such as 127.0.0.1:9646; port 0 takes a free one.
// labels, such as campaign, run and cell, are those of the gauge loadtest_run_info.
func Serve(address string, t *Tally, labels map[string]string) (*Exporter, error) {
	registry := prometheus.NewPedanticRegistry()
	for _, collector := range []prometheus.Collector{
		newMetrics(t, labels), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("--metrics-addr %s: %w; expected label names that Prometheus takes", address, err)
		}
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		var wrapped *net.OpError
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, fmt.Errorf("--metrics-addr %s: %w; expected HOST:PORT that is free, or port 0 for any", address, err)
	}
	routes := http.NewServeMux()
	routes.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	e := &Exporter{
		listener: listener, ended: make(chan error, 1),
		server: http.Server{Handler: routes, ReadHeaderTimeout: 5 * time.Second},
	}
	go func() { e.ended <- e.server.Serve(listener) }()
	return e, nil
}

// URL is where the metrics are.
func (e *Exporter) URL() string { return "http://" + e.listener.Addr().String() + "/metrics" }

// Close answers the scrapes under way, for up to a second, and stops serving.
func (e *Exporter) Close() error {
	patience, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := e.server.Shutdown(patience); err != nil {
		e.server.Close()
	}
	if err := <-e.ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("metrics: serving ended early: %w", err)
	}
	return nil
}
