//go:build !linux

package load

// DefaultClient is how requests are sent to an http:// address. Connections of our own need Linux.
const DefaultClient = NetHTTP

func newTransport(l *lane) transport { return newNetTransport(l) }
