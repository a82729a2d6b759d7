package natsadapter

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/adapter"
)

// The subjects are what servers with another version of this module expect.
func TestGoldenSubjects(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxToken)
	for name, want := range map[string]string{
		"":          "=",
		"/":         "/",
		"/chat":     "/chat",
		"user:7":    "user:7",
		"a.b":       "a=2Eb",
		"*":         "=2A",
		">":         "=3E",
		"=":         "=3D",
		"=2E":       "=3D2E",
		"~":         "=7E",
		"a \t\r\nb": "a=20=09=0D=0Ab",
		"$SYS":      "=24SYS",
		"é":         "=C3=A9",
		"\x00":      "=00",
		long:        long,
		long + "x":  "~DsnrM-dFELzdHy6lUgboLyFknFwr7L8rQz60dbNMAb0",
	} {
		if got := token(name); got != want {
			t.Errorf("token(%q) = %q, want %q", name, got, want)
		}
	}
	room := func(rooms ...string) *cluster.Packet {
		return &cluster.Packet{Type: cluster.Broadcast, Namespace: "/c.d", Message: &adapter.Message{Target: adapter.Target{Rooms: rooms}}}
	}
	s := subjects{prefix: "sio", mode: Dynamic}
	for want, p := range map[string]*cluster.Packet{
		"sio.s":              {Type: cluster.Heartbeat},
		"sio.i.goabc.a":      {Type: cluster.Answer, Namespace: "/", To: "goabc"},
		"sio.n./":            {Type: cluster.FetchSockets, Namespace: "/", RequestID: "r"},
		"sio.r./c=2Ed.a=2Eb": room("a.b"),
		"sio.n./c=2Ed":       room("a", "b"),
	} {
		if got := s.of(p, new(cluster.RecentJoins)); got != want {
			t.Errorf("subject %s, want %s", got, want)
		}
	}
	if got := s.of(room(strings.Repeat("i", privateLength)), new(cluster.RecentJoins)); got != "sio.n./c=2Ed" {
		t.Errorf("a socket's room has the subject %s", got)
	}
	var joined cluster.RecentJoins
	s.of(&cluster.Packet{Type: cluster.SocketsJoin, Namespace: "/c.d", Message: &adapter.Message{Rooms: []string{"new"}}}, &joined)
	if got := s.of(room("new"), &joined); got != "sio.n./c=2Ed" {
		t.Errorf("a room that was just joined elsewhere has the subject %s", got)
	}
}

// untoken is the inverse of token, for names that are not hashed.
func untoken(tok string) string {
	if tok == "=" {
		return ""
	}
	var b strings.Builder
	for i := 0; i < len(tok); i++ {
		if tok[i] != escape {
			b.WriteByte(tok[i])
			continue
		}
		b.WriteByte(byte(strings.IndexByte(hexDigits, tok[i+1])<<4 | strings.IndexByte(hexDigits, tok[i+2])))
		i += 2
	}
	return b.String()
}

// Every name is one token that NATS takes, and no two names have the same.
func FuzzToken(f *testing.F) {
	for _, name := range []string{"", "/", "a.b", "*", ">", "=", "~", "é", "\x00", "=2E", strings.Repeat("é", 30), strings.Repeat("x", 200)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		tok := token(name)
		if tok == "" || len(tok) > maxToken || strings.ContainsAny(tok, ".*> \t\r\n\x00") || !utf8.ValidString(tok) {
			t.Fatalf("token(%q) = %q", name, tok)
		}
		if !strings.HasPrefix(tok, hashed) {
			if got := untoken(tok); got != name {
				t.Fatalf("%q becomes %q, which is that of %q", name, tok, got)
			}
		}
	})
}
