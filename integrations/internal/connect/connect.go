// Package connect is what the integrations share to run a web framework's
// middleware when a client connects to a namespace.
package connect

import (
	"cmp"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"

	sio "github.com/sioplug/sioplug/core"
)

// OtherMountError says that a socket came by another mount, so that there is no
// request of the framework which its middleware could run for.
type OtherMountError string

func (e OtherMountError) Error() string {
	return string(e) + ": Connect runs only for sockets of a server that " + string(e) + " has mounted"
}

// A Refusal is the data of the error that a client gets whom middleware has
// answered instead of letting it through.
type Refusal struct {
	Status int `json:"status"`
	Body   any `json:"body,omitempty"`
}

// Refuse returns the error for a client whom middleware has answered, for a
// reason that may be nil. An answer of the server's own failure is not for the
// client: it becomes an error that is logged.
func Refuse(status int, contentType string, body []byte, reason error) error {
	switch {
	case status >= http.StatusInternalServerError:
		if reason == nil {
			return fmt.Errorf("connect middleware answered %d %s", status, http.StatusText(status))
		}
		return fmt.Errorf("connect middleware answered %d: %w", status, reason)
	case status < http.StatusMultipleChoices: // it said nothing, or nothing to the point
		status = http.StatusForbidden
	}
	return &sio.Error{
		Message: cmp.Or(http.StatusText(status), "refused"),
		Data:    Refusal{Status: status, Body: content(contentType, body)},
		Err:     reason,
	}
}

// content returns a body as what it is to be in JSON, nil if it is empty.
func content(contentType string, body []byte) any {
	if len(body) == 0 {
		return nil
	}
	kind, _, _ := mime.ParseMediaType(contentType) // it is text if we cannot tell
	if kind == "application/json" && json.Valid(body) {
		return json.RawMessage(body)
	}
	return string(body)
}
