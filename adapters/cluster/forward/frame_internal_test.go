package forward

import (
	"bytes"
	"errors"
	"net/http"
	"reflect"
	"testing"

	"github.com/sioplug/sioplug/core/engine"
)

func TestFramesAreReadAsTheyWereSigned(t *testing.T) {
	t.Parallel()
	for _, f := range []frame{
		{kind: requestFrame, last: true, id: 1, data: []byte("body")},
		{kind: answerFrame, confirm: true, id: 1 << 63, part: 1 << 31, data: bytes.Repeat([]byte{0}, partSize)},
		{kind: releaseFrame, data: []byte{}},
	} {
		b := f.sign(testSecret, "go1", "go2")
		got, err := readFrame(b, testSecret, "go1", "go2")
		if err != nil || !reflect.DeepEqual(got, f) {
			t.Errorf("%+v, %v", got, err)
		}
		for name, read := range map[string]func() (frame, error){
			"another sender":   func() (frame, error) { return readFrame(b, testSecret, "go3", "go2") },
			"another receiver": func() (frame, error) { return readFrame(b, testSecret, "go1", "go3") },
			"another secret":   func() (frame, error) { return readFrame(b, testSecret[1:], "go1", "go2") },
		} {
			if _, err := read(); !errors.Is(err, errSignature) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for i := range min(len(b), 100) {
			changed := bytes.Clone(b)
			changed[i] ^= 1
			if _, err := readFrame(changed, testSecret, "go1", "go2"); err == nil {
				t.Errorf("byte %d was changed", i)
			}
		}
	}
	large := frame{kind: requestFrame, data: make([]byte, partSize+1)}
	if _, err := readFrame(large.sign(testSecret, "a", "b"), testSecret, "a", "b"); !errors.Is(err, errFrame) {
		t.Errorf("a byte too many: %v", err)
	}
}

func TestSequence(t *testing.T) {
	t.Parallel()
	var s sequence
	for _, tt := range []struct {
		n    uint64
		want bool
	}{
		{0, false},
		{1, true},
		{1, false},
		{3, true},
		{2, true},
		{2, false},
		{sequenceSize, true},
		{4, true},
		{4, false},
		{sequenceSize + 4, true},
		{4, false},
		{5, true},
		{1_000_000, true},
		{6, false},
		{1_000_000 - sequenceSize, false},
		{1_000_001 - sequenceSize, true},
		{1_000_001 - sequenceSize, false},
		{999_999, true},
		{1<<64 - 1, false},
		{1_000_001, true},
	} {
		if got := s.accept(tt.n); got != tt.want {
			t.Errorf("%d: %v", tt.n, got)
		}
	}
}

// Whatever a server sends, it is refused or is the same when it is sent again.
func FuzzFrame(f *testing.F) {
	h := head{method: http.MethodGet, uri: "/socket.io/?sid=a", host: "a", ip: "192.0.2.1", tls: true, limit: 1000, within: maxWithin}
	request, err := appendRequestHead(nil, &h, http.Header{"A": {"1", "2"}, "B": {""}}, -1)
	if err != nil {
		f.Fatal(err)
	}
	answer, err := appendAnswerHead(nil, &engine.Response{Status: 200, Header: http.Header{"A": {"1"}}, Body: []byte("body")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(byte(requestFrame), byte(flagLast), append(request, "body"...))
	f.Add(byte(answerFrame), byte(flagConfirm), append(answer, "body"...))
	f.Add(byte(confirmFrame), byte(4), []byte{1, 2, 3})
	f.Add(byte(requestFrame), byte(0), []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, kind, flags byte, data []byte) {
		b := (&frame{kind: frameKind(kind), data: data}).sign(testSecret, "a", "b")
		b[macSize+1] = flags
		frameMAC(b[:0], testSecret, "a", "b", b[macSize:])
		got, err := readFrame(b, testSecret, "a", "b")
		if err == nil && !bytes.Equal(got.sign(testSecret, "a", "b"), b) {
			t.Fatalf("%+v", got)
		}
		if h, header, length, rest, err := readRequestHead(data); err == nil {
			again, err := appendRequestHead(nil, &h, header, length)
			if err != nil && len(data) <= partSize || len(rest) > len(data) {
				t.Fatalf("%+v: %v", h, err)
			}
			if h2, header2, length2, _, err := readRequestHead(again); again != nil && (err != nil || h2 != h || length2 != length || !reflect.DeepEqual(header, header2)) {
				t.Fatalf("%+v and %+v: %v", h, h2, err)
			}
			r := new(engine.Request)
			r.Header = header
			h.request(r)
		}
		if res, length, rest, err := readAnswerHead(data); err == nil && (length > maxAnswer || len(rest) > len(data) || res.Status > 999) {
			t.Fatalf("%+v", res)
		}
	})
}
