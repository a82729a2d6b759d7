package websocket

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"github.com/sioplug/sioplug/internal/frame"
)

// Close codes of RFC 6455 section 7.4.1 that this package sets by itself.
const (
	codeProtocol = 1002 // the peer broke the protocol
	codeNone     = 1005 // stands for a close frame without a code; never sent
	codeNotUTF8  = 1007 // text that is not UTF-8, or no valid data of its kind
	codeTooBig   = 1009 // a message above the limit
)

// codeSize is the number of bytes of the code in a close frame (RFC 6455 section
// 5.5.1).
const codeSize = 2

// A CloseError says that the peer ended the connection with a close frame.
type CloseError struct {
	Code   uint16 // 1005 if the frame had none (RFC 6455 section 7.1.5)
	Reason string // chosen by the peer; valid UTF-8
}

// Error implements error. The peer's reason is quoted because it may contain
// anything.
func (e *CloseError) Error() string {
	return fmt.Sprintf("websocket: peer closed with code %d %q", e.Code, e.Reason)
}

// echo returns the close frame that answers the peer's (RFC 6455 section 5.5.1).
func (e *CloseError) echo() *frame.Frame {
	if e.Code == codeNone {
		return frame.Close(0, "")
	}
	return frame.Close(e.Code, "")
}

// A ProtocolError says how the peer broke the protocol or a limit. The caller
// should send a close frame with Code before it ends the connection (RFC 6455
// section 7.1.7).
type ProtocolError struct {
	Code uint16 // 1002, 1007 or 1009
	Text string // static: contains no input of the peer
}

// Error implements error.
func (e *ProtocolError) Error() string { return "websocket: " + e.Text }

func errNotUTF8() error {
	return &ProtocolError{codeNotUTF8, "text message is not valid UTF-8"}
}

func errTooBig() error {
	return &ProtocolError{codeTooBig, "Max payload size exceeded"}
}

// parseClose decodes the payload of a close frame. It returns a *CloseError, or a
// *ProtocolError if the payload is invalid (RFC 6455 section 5.5.1).
func parseClose(payload []byte) error {
	if len(payload) == 0 {
		return &CloseError{Code: codeNone}
	}
	if len(payload) < codeSize {
		return &ProtocolError{codeProtocol, "close frame with half a code"}
	}
	code := binary.BigEndian.Uint16(payload)
	if !validCode(code) {
		return &ProtocolError{codeProtocol, "invalid close code"}
	}
	reason := payload[codeSize:]
	if !utf8.Valid(reason) {
		return &ProtocolError{codeNotUTF8, "close reason is not valid UTF-8"}
	}
	return &CloseError{Code: code, Reason: string(reason)}
}

// validCode reports whether a peer may send the close code: those defined by
// RFC 6455 section 7.4.1, those registered with IANA since (1012 to 1014), and
// the ranges for libraries and applications of section 7.4.2. The codes 1004 to
// 1006 and 1015 are reserved for use inside a program.
func validCode(code uint16) bool {
	switch {
	case code < 1000:
		return false
	case code < 1004:
		return true
	case code < 1007:
		return false
	case code < 1015:
		return true
	default:
		return code >= 3000 && code < 5000
	}
}
