package forward

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/engine"
)

var testSecret = []byte("a secret of this test, of 32 bytes")

func TestHeadIsReadAsItWasSigned(t *testing.T) {
	t.Parallel()
	for _, h := range []head{
		{},
		{to: "go1", from: "go2", method: "GET", uri: "/socket.io/?a=1&b=%20;#x", host: "[::1]:80", ip: "2001:db8::1", tls: true, limit: 1e6, within: time.Minute},
		{method: "POST", uri: "//evil?\r\nX: 1\x00 ü", host: "a b\n", ip: "@"},
		{within: maxWithin},
	} {
		got, err := readHead([]string{h.sign(testSecret)}, testSecret)
		if err != nil || got != h {
			t.Errorf("got %+v, %v, want %+v", got, err, h)
		}
		if s := h.sign(testSecret); strings.ContainsAny(s, "\r\n\x00") || strings.Contains(s, string(testSecret)) {
			t.Errorf("%q", s)
		}
	}
}

// Numbers that make no sense are refused although they are signed.
func TestHeadsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for _, fields := range []string{
		"limit=1&within=-1", "limit=-1&within=0", "limit=x&within=0", "limit=1&within=86400001", "limit=1", "within=1", "%", "limit=1;within=1",
	} {
		if h, err := readHead([]string{signature(testSecret, fields) + " " + fields}, testSecret); !errors.Is(err, errHead) {
			t.Errorf("%s: %+v, %v", fields, h, err)
		}
	}
}

// Whatever a head says, the request that it completes has what the engine needs.
func FuzzHead(f *testing.F) {
	f.Add("to=a&method=GET&uri=%2Fsocket.io%2F%3Fsid%3Da&limit=1&within=2", true)
	f.Add("uri=%zz&limit=1&within=0", true)
	f.Add("uri=http%3A%2F%2F%5B%3A%3A1&limit=1&within=0", true)
	f.Add("x", false)
	f.Fuzz(func(t *testing.T, fields string, signed bool) {
		value := fields
		if signed {
			value = signature(testSecret, fields) + " " + fields
		}
		h, err := readHead([]string{value}, testSecret)
		if err != nil {
			if h != (head{}) {
				t.Fatalf("%+v beside an error", h)
			}
			return
		}
		if !signed {
			t.Fatalf("%q is accepted without a signature", value)
		}
		if h.limit < 0 || h.within < 0 || h.within > maxWithin {
			t.Fatalf("%+v", h)
		}
		r := &engine.Request{Header: http.Header{headName: {value}}}
		h.request(r)
		if r.Query == nil || len(r.Header) != 0 || r.URI != h.uri {
			t.Fatalf("%+v", r)
		}
	})
}

func FuzzPrefixOf(f *testing.F) {
	for _, s := range []string{"", "abcd", "abcd0123456789abcdef", "abcd0123456789abcde+", "ab\ncd0123456789abcdef", strings.Repeat("a", 1000)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sid string) {
		p := prefixOf(sid)
		if p == "" {
			return
		}
		if len(sid) != 20 || len(p) != cluster.PrefixLength || !strings.HasPrefix(sid, p) {
			t.Fatalf("%q: %q", sid, p)
		}
		for _, c := range sid {
			if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", c) {
				t.Fatalf("%q has the prefix %q", sid, p)
			}
		}
	})
}

// A header that is forwarded has neither line breaks nor what is for one connection.
func FuzzForwardable(f *testing.F) {
	f.Add("Cookie", "a=b", "keep-alive, Cookie")
	f.Add("X\r\nY", "1", "")
	f.Add("X", "1\r\nY: 2", "close")
	f.Fuzz(func(t *testing.T, name, value, connection string) {
		h := http.Header{name: {value}, "Connection": {connection}, "Upgrade": {"h2c"}}
		out := forwardable(h)
		if out["Connection"] != nil || out["Upgrade"] != nil {
			t.Fatalf("%q", out)
		}
		var b bytes.Buffer
		if err := out.Write(&b); err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(b.String(), "\n"); lines > 1 || strings.Count(b.String(), "\r") != lines {
			t.Fatalf("%q", b.String())
		}
	})
}
