// Package msgpackjson converts MessagePack to JSON with attachments, and back. The
// attachments are the binary values, for which the JSON has placeholders: see package
// rawjson. What only looks like a placeholder is spelled with an escape.
package msgpackjson

import "errors"

// Why something cannot be converted.
var (
	ErrPayload     = errors.New("invalid payload")
	ErrShort       = errors.New("message ends too early")
	errUTF8        = errors.New("string is not UTF-8")
	errDepth       = errors.New("nested too deeply")
	errKey         = errors.New("key is neither a string nor a whole number")
	errExtension   = errors.New("unknown extension type")
	errDate        = errors.New("date out of range")
	errAttachments = errors.New("too many attachments")
	errBytes       = errors.New("attachments too large")
	errPlaceholder = errors.New("placeholder without an attachment")
)
