package main

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A payload is one image made into everything of a request but its trace id, before the run begins.
type payload struct {
	image       string // file name
	head        []byte // request line and fields
	traceOffset int    // of traceparentHeader in head
	body        []byte
}

// multipartBoundary is fixed so that two runs send the same bytes. No image holds it: loadPayloads looks.
const multipartBoundary = "windtunnel-4f1c9a7be2d04c61"

var imageTypes = []string{".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"}

// loadPayloads reads the images and builds a request of each.
func loadPayloads(o *options, to target) ([]payload, error) {
	files, err := imageFiles(o)
	if err != nil {
		return nil, err
	}
	payloads := make([]payload, 0, len(files))
	for _, file := range files {
		image, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("--image: %w; expected an image file that can be read", err)
		}
		if bytes.Contains(image, []byte(multipartBoundary)) {
			return nil, fmt.Errorf("%s: contains the multipart boundary %s; use --body raw", file, multipartBoundary)
		}
		payloads = append(payloads, newPayload(o.body, to, filepath.Base(file), image))
	}
	return payloads, nil
}

func imageFiles(o *options) ([]string, error) {
	if o.image != "" {
		if info, err := os.Stat(o.image); err != nil || info.IsDir() {
			return nil, fmt.Errorf("--image %s: not a file; expected one image, a folder goes to --images", o.image)
		}
		return []string{o.image}, nil
	}
	entries, err := os.ReadDir(o.images)
	if err != nil {
		return nil, fmt.Errorf("--images %s: not a folder that can be read; expected a folder of images (%s)",
			o.images, strings.Join(imageTypes, " "))
	}
	var files []string
	for _, entry := range entries { // in order of their names
		if !entry.IsDir() && slices.Contains(imageTypes, strings.ToLower(filepath.Ext(entry.Name()))) {
			files = append(files, filepath.Join(o.images, entry.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("--images %s: no images among %d entries; expected files ending in %s",
			o.images, len(entries), strings.Join(imageTypes, " "))
	}
	if o.limit > 0 && o.limit < len(files) {
		files = files[:o.limit]
	}
	return files, nil
}

func newPayload(form string, to target, name string, image []byte) payload {
	contentType, body := imageType(name, image), image
	if form == "multipart" {
		// %q would escape what a file name may hold; only the quote and the line end matter here.
		safe := strings.NewReplacer(`"`, "%22", "\r", "%0D", "\n", "%0A").Replace(name)
		body = fmt.Appendf(nil, "--%s\r\nContent-Disposition: form-data; name=\"image\"; filename=\"%s\"\r\n"+
			"Content-Type: %s\r\n\r\n", multipartBoundary, safe, contentType)
		body = append(body, image...)
		body = fmt.Appendf(body, "\r\n--%s--\r\n", multipartBoundary)
		contentType = "multipart/form-data; boundary=" + multipartBoundary
	}
	head := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\n", to.path, to.host)
	traceOffset := len(head)
	head = fmt.Appendf(head, "%sUser-Agent: triton_bench\r\nAccept: */*\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
		traceparentHeader, contentType, len(body))
	return payload{image: name, head: head, traceOffset: traceOffset, body: body}
}

func imageType(name string, image []byte) string {
	if known := mime.TypeByExtension(strings.ToLower(filepath.Ext(name))); known != "" {
		return known
	}
	return http.DetectContentType(image)
}
