package forward

// Sign returns the header of a forwarded request.
func Sign(secret, method, to, uri string) string {
	h := head{to: to, from: "go00000000000000", method: method, uri: uri, host: "server", ip: "192.0.2.7", limit: 1000}
	return h.sign([]byte(secret))
}
