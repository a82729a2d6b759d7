package engine

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// A refusal is the answer to a request that verification turned down: the
// error codes of Engine.IO (EIO section 3.1).
type refusal struct {
	code    int
	message string
	status  int
	name    string // what exactly was wrong, for the log
}

// The codes of the protocol.
const (
	codeUnknownTransport = iota
	codeUnknownSession
	codeBadMethod
	codeBadRequest
	codeForbidden
	codeUnsupportedVersion
)

func unknownTransport() *refusal {
	return &refusal{codeUnknownTransport, "Transport unknown", http.StatusBadRequest, ""}
}

func unknownSession() *refusal {
	return &refusal{codeUnknownSession, "Session ID unknown", http.StatusBadRequest, ""}
}

func badMethod() *refusal {
	return &refusal{codeBadMethod, "Bad handshake method", http.StatusBadRequest, ""}
}

func badRequest(name string) *refusal {
	return &refusal{codeBadRequest, "Bad request", http.StatusBadRequest, name}
}

func unsupportedVersion() *refusal {
	return &refusal{codeUnsupportedVersion, "Unsupported protocol version", http.StatusBadRequest, ""}
}

// response is the refusal as JSON (EIO-ER-1), or as plain text for a request
// that wanted to be upgraded and whose client looks only at the status
// (EIO-ER-4).
func (r *refusal) response(upgrade bool) Response {
	h := http.Header{}
	if upgrade {
		h.Set("Connection", "close")
		h.Set("Content-Type", "text/html")
		return Response{Status: http.StatusBadRequest, Header: h, Body: []byte(r.message)}
	}
	h.Set("Content-Type", "application/json")
	body := append([]byte(`{"code":`), strconv.Itoa(r.code)...)
	body = append(body, `,"message":`...)
	message, _ := json.Marshal(r.message) //nolint:errchkjson // a string always encodes
	body = append(append(body, message...), '}')
	return Response{Status: r.status, Header: h, Body: body}
}
