package nethttp

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"reflect"
)

// Middleware puts writers of its own around that of net/http. Some of them have
// an Unwrap method, as [http.ResponseController] wants it. Many do not, and were
// not meant to keep anything from handlers: they embed a writer and forget about
// the rest.

// Unwrap returns the writer that w wraps: what its Unwrap method returns, or a
// field named ResponseWriter, as embedding makes it. It is nil if there is none.
func Unwrap(w http.ResponseWriter) http.ResponseWriter {
	if u, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		return u.Unwrap()
	}
	v := reflect.Indirect(reflect.ValueOf(w))
	if v.Kind() != reflect.Struct || v.Type().PkgPath() == "net/http" { // innermost: searching its fields takes long
		return nil
	}
	f := v.FieldByName("ResponseWriter")
	if !f.IsValid() || !f.CanInterface() {
		return nil
	}
	inner, _ := reflect.TypeAssert[http.ResponseWriter](f)
	return inner
}

// hijack takes the connection from w, or says which of the writers around it
// does not let it go. Asking the innermost one first is necessary because others,
// such as gin's, have the method in any case and panic.
func hijack(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
	if t := notHijackable(w); t != "" {
		return nil, nil, fmt.Errorf("nethttp: %s is no http.Hijacker: mount sioplug outside of the middleware "+
			"that wraps the response writer, or serve WebSocket over HTTP/1.1", t)
	}
	h, ok := w.(http.Hijacker)
	for !ok { // one of those below has it
		w = Unwrap(w)
		h, ok = w.(http.Hijacker)
	}
	return h.Hijack()
}

// flush sends what w and the writers that it wraps have buffered, if all of them
// know how. Some that do panic if one below does not; and one that does not may
// have kept the header back.
func flush(w http.ResponseWriter) error {
	for inner := w; inner != nil; inner = Unwrap(inner) {
		switch inner.(type) {
		case http.Flusher, interface{ FlushError() error }:
		default:
			return nil
		}
	}
	return http.NewResponseController(w).Flush()
}

// unable names the innermost writer if it cannot be hijacked.
func notHijackable(w http.ResponseWriter) string {
	for inner := w; inner != nil; inner = Unwrap(w) {
		w = inner
	}
	if _, ok := w.(http.Hijacker); ok {
		return ""
	}
	return fmt.Sprintf("%T", w)
}
