//go:build !linux

package main

import (
	"errors"
	"net"
)

func (b *behaviour) serveNull(net.Listener, *arrivalLog) error {
	return errors.New("--mode null: needs Linux (epoll)")
}
