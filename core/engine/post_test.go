package engine_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

func wantMessages(t *testing.T, p *enginetest.Peer, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), p.Messages()); diff != "" {
		t.Errorf("messages: %s", diff)
	}
}

// The official Java client ends base64 with a line break, over polling, and breaks long
// lines. Two of three lengths of its binary data were refused, and ended the session.
func TestEIO_DEC_2_Base64OfTheJavaClient(t *testing.T) {
	inBubble(t, "EIO-DEC-2 line breaks, blanks and padding", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		var all []string
		long := strings.Repeat(strings.Repeat("A", 76)+"\r\n", 3)
		for body, want := range map[string]string{
			"bAw==\n": "<03>", "bAwoR\n": "<030a11>", "bAw oR": "<030a11>", "bAwo= ": "<030a>", "bAw=\n=": "<03>", "b!": "<>",
			"bAw": "<03>", "b-_8=": "<fbff>", "b" + long: "<" + strings.Repeat("00", 3*57) + ">",
		} {
			same(t, "answer to "+body, p.Post(body), "200 ok")
			all = append(all, want)
			wantMessages(t, p.Peer, all...)
		}
	})
	inBubble(t, "EIO-V3-3", eio3(), func(t *testing.T, k *enginetest.Kit) {
		o := openOld(t, k, "")
		same(t, "answer", o.post("7:b4Aw==\n2:4a"), "200 ok")
		wantMessages(t, o.Peer, "<03>", "a")
	})
}

// The body of a POST that is not UTF-8 has U+FFFD for what is not, as on the reference. It
// ended the session.
func TestEIO_POST_BodiesThatAreNotUTF8(t *testing.T) {
	inBubble(t, "EIO-ENC-7", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		same(t, "answer", p.Post("4\xff\xe9\x1e4\xe2\x82\x1e4\xed\xa0\xbd\x1e4é"), "200 ok")
		wantMessages(t, p.Peer, "\ufffd\ufffd", "\ufffd", "\ufffd\ufffd\ufffd", "é")
	})
	inBubble(t, "EIO-V3-19", eio3(), func(t *testing.T, k *enginetest.Kit) {
		o := openOld(t, k, "")
		same(t, "text", o.post("3:4\xff\xe92:4\xe2\x822:4é"), "200 ok")
		wantMessages(t, o.Peer, "\ufffd\ufffd", "\ufffd", "é")
		same(t, "octets", o.postAs("application/octet-stream", "\x00\x04\xff4\xed\xa0\xbd\x01\x02\xff\x04\xff"), "200 ok")
		wantMessages(t, o.Peer, "\ufffd\ufffd", "\ufffd", "é", "\ufffd\ufffd\ufffd", "<ff>")
	})
}

func TestPollingPost(t *testing.T) {
	inBubble(t, "EIO-POST-1 packets are processed before the answer", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		a := k.Do(enginetest.Request{Method: http.MethodPost, Query: p.Query(), Body: strings.NewReader("4a\x1e4b")})
		wantMessages(t, p.Peer, "a", "b")
		same(t, "answer", a.String(), "200 ok")
		same(t, "content type", a.Header.Get("Content-Type"), "text/html")
		same(t, "EIO-HD-1 cache control", a.Header.Get("Cache-Control"), "no-store")
	})
	for _, contentType := range []string{
		"text/plain;charset=UTF-8", "text/plain", "application/json", "", "application/octet-stream; x=y",
	} {
		inBubble(t, "EIO-POST-2 content type "+contentType, engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
			p := k.OpenPolling()
			a := k.Do(enginetest.Request{
				Method: http.MethodPost, Query: p.Query(), Body: strings.NewReader("4x"),
				Header: http.Header{"Content-Type": {contentType}},
			})
			same(t, "answer", a.String(), "200 ok")
			wantMessages(t, p.Peer, "x")
		})
	}
	inBubble(t, "EIO-POST-4 a lower limit of middleware", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		a := k.Do(enginetest.Request{
			Method: http.MethodPost, Query: p.Query(), Body: http.MaxBytesReader(nil, io.NopCloser(strings.NewReader("4abc")), 3),
		})
		same(t, "answer", a.String(), "413")
		same(t, "the session lives on", p.Post("4x"), "200 ok")
		wantMessages(t, p.Peer, "x")
	})
	inBubble(t, "EIO-POST-12 a pong that nobody waits for", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		time.Sleep(10 * time.Second)
		same(t, "answer", p.Post("3"), "200 ok")
		start := time.Now()
		a := p.Poll().Wait()
		same(t, "poll", a.String(), "200 2")
		same(t, "the interval starts anew", a.At.Sub(start), 25*time.Second)
	})
	inBubble(t, "EIO-POST-13 open, upgrade and noop are ignored", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		same(t, "answer", p.Post("0{}\x1e5\x1e6\x1e4x"), "200 ok")
		wantMessages(t, p.Peer, "x")
		same(t, "transport", p.Session.Transport(), "polling")
	})
	inBubble(t, "EIO-POST-14 message without data", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		same(t, "answer", p.Post("4"), "200 ok")
		wantMessages(t, p.Peer, "")
	})
	inBubble(t, "EIO-POST-15, EIO-ENC-4 binary", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		same(t, "answer", p.Post("bAQIDBA==\x1eb\x1eb-_8"), "200 ok")
		wantMessages(t, p.Peer, "<01020304>", "<>", "<fbff>")
	})
	inBubble(t, "protocol suite: three packets are echoed in one poll", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		p := k.OpenPolling()
		same(t, "answer", p.Post("4a\x1ebAQIDBA==\x1e4c"), "200 ok")
		same(t, "poll", p.Get(), "200 4a\x1ebAQIDBA==\x1e4c")
	})
}

// Bodies as they come from the network: in pieces, too long, or not to the end.
func TestPollingPostBody(t *testing.T) {
	const limit = 20
	opts := engine.Options{MaxHTTPBufferSize: limit}
	post := func(k *enginetest.Kit, p *enginetest.Polling, body io.Reader, chunked bool) string {
		return k.Do(enginetest.Request{Method: http.MethodPost, Query: p.Query(), Body: body, Chunked: chunked}).String()
	}
	for _, chunked := range []bool{false, true} {
		name := map[bool]string{false: " with a length", true: " in chunks"}[chunked]
		inBubble(t, "EIO-POST-4 exactly the limit"+name, opts, func(t *testing.T, k *enginetest.Kit) {
			p := k.OpenPolling()
			exact := strings.Repeat("€", 6) + "x" // bytes count, not characters: EIO-ENC-7
			same(t, "answer", post(k, p, strings.NewReader("4"+exact), chunked), "200 ok")
			wantMessages(t, p.Peer, exact)
		})
		inBubble(t, "EIO-POST-4 one past it, and the session goes on"+name, opts, func(t *testing.T, k *enginetest.Kit) {
			p := k.OpenPolling()
			a := k.Do(enginetest.Request{
				Method: http.MethodPost, Query: p.Query(), Chunked: chunked,
				Body: strings.NewReader("4" + strings.Repeat("x", limit)),
			})
			same(t, "answer", a.String(), "413")
			same(t, "EIO-HD-1 cache control", a.Header.Get("Cache-Control"), "")
			wantMessages(t, p.Peer)
			same(t, "next", p.Post("4x"), "200 ok")
			wantMessages(t, p.Peer, "x")
		})
	}
	inBubble(t, "EIO-POST-4 an endless body is not read to the end", opts, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		r, w := io.Pipe()
		go func() {
			_, err := w.Write([]byte(strings.Repeat("4", limit+1)))
			if err != nil {
				t.Error(err)
			}
			// and nothing more, ever
		}()
		same(t, "answer", post(k, p, r, true), "413")
	})
	inBubble(t, "EIO-POST-5 characters in pieces", opts, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		r, w := io.Pipe()
		go func() {
			for _, b := range []byte("4é€😀") {
				_, _ = w.Write([]byte{b})
				time.Sleep(time.Second)
			}
			_ = w.Close()
		}()
		same(t, "answer", post(k, p, r, true), "200 ok")
		wantMessages(t, p.Peer, "é€😀")
	})
	inBubble(t, "EIO-POST-8 second POST while one is being read", opts, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		parked := p.Poll()
		r, w := io.Pipe()
		first := k.Start(enginetest.Request{Method: http.MethodPost, Query: p.Query(), Body: r})
		synctest.Wait()
		same(t, "second", p.Post("4b"), "400")
		end := p.End()
		same(t, "reason", end.Reason, engine.TransportError)
		same(t, "error", end.Err.Error(), "data request overlap from client")
		same(t, "parked poll", parked.Wait().String(), "200 1")
		same(t, "first", first.Wait().String(), "0 hung up")
		if _, err := w.Write([]byte("4a")); err == nil {
			t.Error("the first is still being read")
		}
		wantMessages(t, p.Peer)
	})
	for _, sent := range []string{"", "4x"} {
		inBubble(t, "EIO-POST-9 client aborts after "+sent, opts, func(t *testing.T, k *enginetest.Kit) {
			p := k.OpenPolling()
			same(t, "answer", post(k, p, enginetest.Broken(sent), true), "0 hung up")
			end := p.End()
			same(t, "reason", end.Reason, engine.TransportError)
			same(t, "error", end.Err.Error(), "data request connection closed prematurely")
			wantMessages(t, p.Peer)
			same(t, "next", p.Get(), unknownSession)
		})
	}
}

// What ends the session, with a poll parked and without.
func TestPollingPostEnds(t *testing.T) {
	for _, c := range []struct {
		name        string
		body        string
		contentType string
		heard       []string
		answer      string
		parked      string
		next        string // without a parked poll
		reason      engine.Reason
		err         string
	}{
		{
			name: "EIO-POST-3 octet-stream", body: "4x", contentType: "application/octet-stream",
			answer: "400", parked: "200 1", next: unknownSession, reason: engine.TransportError, err: "invalid content",
		},
		{
			name: "EIO-POST-6, EIO-DEC-3 empty body", body: "",
			answer: "400", parked: "200 1", next: unknownSession, reason: engine.ParseError, err: "empty packet",
		},
		{
			name: "EIO-POST-7, EIO-DEC-4 undecodable packet (better: 400, as the protocol's suite asks)", body: "abc",
			answer: "400", parked: "200 1", next: unknownSession, reason: engine.ParseError, err: "unknown packet type",
		},
		{
			name: "EIO-POST-7, EIO-DEC-6 what came before it is delivered", body: "4a\x1e7\x1e4b", heard: []string{"a"},
			answer: "400", parked: "200 1", next: unknownSession, reason: engine.ParseError, err: "unknown packet type",
		},
		{
			name: "EIO-DEC-7 consecutive separators", body: "4a\x1e\x1e4b", heard: []string{"a"},
			answer: "400", parked: "200 1", next: unknownSession, reason: engine.ParseError, err: "empty packet",
		},
		{
			name: "EIO-DEC-7 trailing separator", body: "4a\x1e", heard: []string{"a"},
			answer: "400", parked: "200 1", next: unknownSession, reason: engine.ParseError, err: "empty packet",
		},
		{
			name: "EIO-POST-10, EIO-POST-16 close", body: "4a\x1e1\x1e4b", heard: []string{"a"},
			answer: "200 ok", parked: "200 6", next: unknownSession, reason: engine.TransportClose,
		},
		{
			name: "EIO-POST-11, EIO-POST-16 ping", body: "4a\x1e2\x1e4b", heard: []string{"a"}, answer: "200 ok",
			parked: "200 1", next: unknownSession, reason: engine.TransportError, err: "invalid heartbeat direction",
		},
		{
			name: "EIO-POST-11 probe", body: "2probe", answer: "200 ok",
			parked: "200 1", next: unknownSession, reason: engine.TransportError, err: "invalid heartbeat direction",
		},
	} {
		for _, parked := range []bool{true, false} {
			name := map[bool]string{true: ", poll parked", false: ", no poll"}[parked]
			inBubble(t, c.name+name, engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
				p := k.OpenPolling()
				var poll *enginetest.Call
				if parked {
					poll = p.Poll()
					synctest.Wait()
				}
				a := k.Do(enginetest.Request{
					Method: http.MethodPost, Query: p.Query(), Body: strings.NewReader(c.body),
					Header: http.Header{"Content-Type": {c.contentType}},
				})
				same(t, "answer", a.String(), c.answer)
				wantMessages(t, p.Peer, c.heard...)
				end := p.End()
				same(t, "reason", end.Reason, c.reason)
				if end.Err == nil || end.Err.Error() != c.err {
					if end.Err != nil || c.err != "" {
						t.Errorf("error: %v, want %v", end.Err, c.err)
					}
				}
				if parked {
					same(t, "parked poll", poll.Wait().String(), c.parked)
				} else {
					same(t, "next poll", p.Get(), c.next)
				}
				same(t, "poll behind it", p.Get(), unknownSession)
				same(t, "POST behind it", p.Post("4x"), unknownSession)
				same(t, "sessions", k.Remembered(), 0)
			})
		}
	}
	inBubble(t, "EIO-POST-10 better: a poll that the close overtakes is answered as if it had been parked", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		p.Send("never read")
		post := k.Start(enginetest.Request{Method: http.MethodPost, Query: p.Query(), Body: strings.NewReader("1")})
		synctest.Wait()
		same(t, "reason", p.End().Reason, engine.TransportClose)
		same(t, "overtaken poll", p.Get(), "200 6")
		same(t, "post", post.Wait().String(), "200 ok")
		same(t, "next poll", p.Get(), unknownSession)
		same(t, "sessions", k.Remembered(), 0)
	})
	inBubble(t, "one POST after the other", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		for range 300 {
			same(t, "post", p.Post("4x"), "200 ok")
		}
		same(t, "messages", len(p.Messages()), 300)
	})
}
