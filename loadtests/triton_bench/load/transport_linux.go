package load

// DefaultClient is how requests are sent to an http:// address.
const DefaultClient = Raw

func newTransport(l *lane) transport {
	if l.run.config.Client == Raw {
		return newRawTransport(l)
	}
	return newNetTransport(l)
}
