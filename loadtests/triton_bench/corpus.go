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

	"windtunnel/triton_bench/load"
)

// multipartBoundary is fixed so that two runs send the same bytes. No image holds it: readImages looks.
const multipartBoundary = "windtunnel-4f1c9a7be2d04c61"

var imageTypes = []string{".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"}

// An image is a file that is sent.
type image struct {
	name  string
	bytes []byte
}

// readImages reads the images of --image or --images into memory; none for a method without a body.
func readImages(o *options) ([]image, error) {
	if o.method == http.MethodGet {
		return []image{{}}, nil
	}
	files, err := imageFiles(o)
	if err != nil {
		return nil, err
	}
	images := make([]image, 0, len(files))
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("--image: %w; expected an image file that can be read", err)
		}
		if bytes.Contains(content, []byte(multipartBoundary)) {
			return nil, fmt.Errorf("%s: contains the multipart boundary %s; use --body raw", file, multipartBoundary)
		}
		images = append(images, image{filepath.Base(file), content})
	}
	return images, nil
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

// payloads builds the requests that carry the images to a target.
func payloads(o *options, to load.Target, images []image) []load.Payload {
	built := make([]load.Payload, len(images))
	for i, image := range images {
		built[i] = newPayload(o, to, image)
	}
	return built
}

func newPayload(o *options, to load.Target, image image) load.Payload {
	p := load.Payload{Image: image.name, Method: o.method}
	switch {
	case o.method == http.MethodGet:
	case o.body == "raw":
		p.ContentType, p.Body = imageType(image), image.bytes
	default:
		p.ContentType, p.Body = "multipart/form-data; boundary="+multipartBoundary, multipart(image)
	}
	p.Head = fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n", o.method, to.Path, to.Host)
	p.TraceOffset = len(p.Head)
	p.Head = fmt.Appendf(p.Head, "%sUser-Agent: triton_bench\r\nAccept: */*\r\n", load.TraceparentField)
	if p.ContentType != "" {
		p.Head = fmt.Appendf(p.Head, "Content-Type: %s\r\nContent-Length: %d\r\n", p.ContentType, len(p.Body))
	}
	p.Head = append(p.Head, "\r\n"...)
	return p
}

func multipart(image image) []byte {
	// %q would escape what a file name may hold; only the quote and the line end matter here.
	safe := strings.NewReplacer(`"`, "%22", "\r", "%0D", "\n", "%0A").Replace(image.name)
	body := fmt.Appendf(nil, "--%s\r\nContent-Disposition: form-data; name=\"image\"; filename=\"%s\"\r\n"+
		"Content-Type: %s\r\n\r\n", multipartBoundary, safe, imageType(image))
	body = append(body, image.bytes...)
	return fmt.Appendf(body, "\r\n--%s--\r\n", multipartBoundary)
}

func imageType(image image) string {
	if known := mime.TypeByExtension(strings.ToLower(filepath.Ext(image.name))); known != "" {
		return known
	}
	return http.DetectContentType(image.bytes)
}
