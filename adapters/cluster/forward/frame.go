package forward

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
)

// A frame is what one server sends another over the broker about one request. A request and its
// answer are cut into parts, one for each frame.
type frame struct {
	kind    frameKind
	last    bool   // the part is the last one
	confirm bool   // of an answer: its last part has to be confirmed
	id      uint64 // of the request: its number at the server that forwards it
	part    uint32 // number of the part, from 0; or what the kind says
	data    []byte
}

type frameKind byte

const (
	requestFrame    frameKind = iota + 1 // a part of a request: the first one begins with its head
	answerFrame                          // a part of an answer: the first one begins with its head
	requestAckFrame                      // part is how many parts of the request were read
	answerAckFrame                       // part is how many parts of the answer have come
	waitFrame                            // the request has come, and has no answer yet
	failFrame                            // there is no answer: part is a status for the client, or 0 to hang up
	cancelFrame                          // nobody waits for the answer any more
	confirmFrame                         // data has the ids of requests whose answers have come
	releaseFrame                         // the receiver is asked to answer the polls of the sender
)

const (
	macSize   = sha256.Size
	frameHead = macSize + 1 + 1 + 8 + 4

	// partSize is how many bytes a frame has at most, without its own head. The first part
	// of a request or of an answer has its head in there: URL, status and headers.
	partSize = 32 << 10

	// window is how many parts are sent before the first one has been read.
	window = 8

	flagLast, flagConfirm = 1, 2
)

var (
	errSignature = errors.New("forward: a message over the broker is not signed with Options.Secret")
	errFrame     = errors.New("forward: a message over the broker makes no sense")
)

// sign returns the bytes of a frame. Its signature is valid only between these two servers.
func (f *frame) sign(secret []byte, from, to string) []byte {
	b := make([]byte, macSize, frameHead+len(f.data))
	var flags byte
	if f.last {
		flags |= flagLast
	}
	if f.confirm {
		flags |= flagConfirm
	}
	b = append(b, byte(f.kind), flags)
	b = binary.BigEndian.AppendUint64(b, f.id)
	b = binary.BigEndian.AppendUint32(b, f.part)
	b = append(b, f.data...)
	frameMAC(b[:0], secret, from, to, b[macSize:])
	return b
}

// frameMAC appends the signature of a frame to dst.
func frameMAC(dst, secret []byte, from, to string, rest []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	_, _ = io.WriteString(mac, "sioplug-forward-broker-1\n"+from+"\n"+to+"\n") // a change of the meaning changes this, too
	mac.Write(rest)
	return mac.Sum(dst)
}

// readFrame reads a frame, which shares the memory of b. If only its signature is wrong, it
// returns the frame as well.
func readFrame(b, secret []byte, from, to string) (f frame, err error) {
	if len(b) < frameHead || len(b) > frameHead+partSize {
		return f, errFrame
	}
	rest := b[macSize:]
	f.kind, f.last, f.confirm = frameKind(rest[0]), rest[1]&flagLast != 0, rest[1]&flagConfirm != 0
	f.id, f.part, f.data = binary.BigEndian.Uint64(rest[2:]), binary.BigEndian.Uint32(rest[10:]), rest[14:]
	var sum [macSize]byte
	if !hmac.Equal(b[:macSize], frameMAC(sum[:0], secret, from, to, rest)) {
		return f, errSignature
	}
	if f.kind < requestFrame || f.kind > releaseFrame || rest[1] > flagLast|flagConfirm {
		return frame{}, errFrame
	}
	return f, nil
}
