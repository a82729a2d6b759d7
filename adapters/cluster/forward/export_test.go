package forward

// Sign returns the header of a forwarded request.
func Sign(secret, method, to, uri string) string {
	h := head{to: to, from: "go00000000000000", method: method, uri: uri, host: "server", ip: "192.0.2.7", limit: 1000}
	return h.sign([]byte(secret))
}

// Of frames: how long a part is, where the kind stands, and some kinds.
const (
	PartSize    = partSize
	KindAt      = macSize
	FrameHead   = frameHead
	RequestKind = byte(requestFrame)
	AnswerKind  = byte(answerFrame)
	WaitKind    = byte(waitFrame)
	ConfirmKind = byte(confirmFrame)
)

// Kept returns how many bytes are kept of what has come over the broker.
func (r *Router) Kept() int {
	r.kept.mu.Lock()
	defer r.kept.mu.Unlock()
	return r.kept.used
}
