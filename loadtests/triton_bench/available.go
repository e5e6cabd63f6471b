package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"windtunnel/triton_bench/load"
)

// available asks a track for one answer with the first image, because a service may be healthy and
// a track of it absent, or served by another. The request is not part of any measurement.
func (s *session) available(track string, target load.Target) error {
	p := payloads(s.options, target, s.images[:1])[0]
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: s.options.insecure},
	}}
	ctx, cancel := context.WithTimeout(s.aborted, min(s.options.timeout, 30*time.Second))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, p.Method, target.URL, bytes.NewReader(p.Body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", p.ContentType)
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return err
	}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("%s answers %s", target.Path, answer.Status)
	}
	var said struct{ Track string }
	if json.Unmarshal(body, &said) == nil && said.Track != "" && said.Track != track {
		return fmt.Errorf("%s is answered by track %s", target.Path, said.Track)
	}
	return nil
}
