package redisadapter

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReplies(t *testing.T) {
	t.Parallel()
	const wire = "+OK\r\n-ERR no\r\n:-7\r\n$3\r\na\r\n\r\n$-1\r\n*-1\r\n*2\r\n$1\r\nx\r\n*1\r\n:1\r\n*0\r\n"
	for name, r := range map[string]*replyReader{
		"at once":      newReplyReader(strings.NewReader(wire)),
		"byte by byte": newReplyReader(iotest.OneByteReader(strings.NewReader(wire))),
	} {
		for i, want := range []reply{
			{kind: '+', text: []byte("OK")},
			{kind: '-', text: []byte("ERR no")},
			{kind: ':', n: -7},
			{kind: '$', text: []byte("a\r\n")[:3]},
			{kind: '$', null: true},
			{kind: '*', null: true},
			{kind: '*', items: []reply{{kind: '$', text: []byte("x")}, {kind: '*', items: []reply{{kind: ':', n: 1}}}}},
			{kind: '*', items: []reply{}},
		} {
			got, err := r.next()
			if err != nil {
				t.Fatalf("%s: reply %d: %v", name, i, err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: reply %d is %+v, want %+v", name, i, got, want)
			}
		}
		if _, err := r.next(); err == nil {
			t.Errorf("%s: a reply after the last one", name)
		}
	}
}

func TestNoReplies(t *testing.T) {
	t.Parallel()
	for _, wire := range []string{
		"\r\n", "x\r\n", "+OK\n", "$x\r\n", ":\r\n", "*2000000\r\n", strings.Repeat("*1\r\n", maxNested+2), "+" + strings.Repeat("x", 1<<17) + "\r\n",
	} {
		if v, err := newReplyReader(strings.NewReader(wire)).next(); !errors.Is(err, errProtocol) {
			t.Errorf("%.20q is %+v, %v", wire, v, err)
		}
	}
}

// Whatever comes: no panic, no more memory than what has come, and what commands are made of
// comes back.
func FuzzReply(f *testing.F) {
	f.Add([]byte("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n"))
	f.Add([]byte("*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.Count(data, []byte("$")) > 0 && len(data) > 1<<16 {
			return
		}
		r := newReplyReader(bytes.NewReader(data))
		for {
			if _, err := r.next(); err != nil {
				break
			}
		}
		v, err := newReplyReader(bytes.NewReader(appendCommand(nil, "X", string(data)))).next()
		if err != nil || len(v.items) != 2 || !bytes.Equal(v.items[1].text, data) {
			t.Fatalf("%q became %+v, %v", data, v, err)
		}
	})
}

func TestSlots(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]uint16{ // CAP-F-19
		"socket.io#/#": 13868, "socket.io#/#room1#": 9640, "socket.io#/#room2#": 12539,
		"socket.io#/chat#": 2409, "socket.io#/#0123456789abcdef#": 6699, "{socket.io#/#}x": 13868, "06S": 0,
	} {
		if got := slotOf(key); got != want {
			t.Errorf("%s: slot %d, want %d", key, got, want)
		}
	}
}
