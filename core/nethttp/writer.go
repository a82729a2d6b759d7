package nethttp

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"reflect"
)

// Middleware wraps the writer of net/http. Some of these writers have an Unwrap method, as
// [http.ResponseController] needs it. Many do not: they embed a writer and hide its other
// methods, which is rarely intended.

// Unwrap returns the writer that w wraps, or nil. It uses the method Unwrap of w, or the
// embedded field ResponseWriter.
func Unwrap(w http.ResponseWriter) http.ResponseWriter {
	if u, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		return u.Unwrap()
	}
	v := reflect.Indirect(reflect.ValueOf(w))
	if v.Kind() != reflect.Struct || v.Type().PkgPath() == "net/http" { // the innermost one: searching its fields would take long
		return nil
	}
	f := v.FieldByName("ResponseWriter")
	if !f.IsValid() || !f.CanInterface() {
		return nil
	}
	inner, _ := reflect.TypeAssert[http.ResponseWriter](f)
	return inner
}

// hijack takes the connection from w. If it cannot, the error names the writer that
// prevents it. The innermost writer is checked first: others, such as that of Gin, always
// have the method Hijack, and panic if the innermost one does not.
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

// flush flushes w and the writers that it wraps, if all of them can. Some writers panic in
// Flush if an inner one cannot. A writer that cannot flush may have delayed the header.
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

// notHijackable returns the type of the innermost writer if it cannot be hijacked, "" if
// it can.
func notHijackable(w http.ResponseWriter) string {
	for inner := w; inner != nil; inner = Unwrap(w) {
		w = inner
	}
	if _, ok := w.(http.Hijacker); ok {
		return ""
	}
	return fmt.Sprintf("%T", w)
}
