package engine_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

func TestConnectionError(t *testing.T) {
	for _, c := range []struct {
		name    string
		request enginetest.Request
		code    int
		message string
		context string
	}{
		{"EIO-VF-1", enginetest.Request{Query: "transport=tobi"}, 0, "Transport unknown", "map[transport:tobi]"},
		{"EIO-VF-1 missing", enginetest.Request{}, 0, "Transport unknown", "map[]"},
		{
			"EIO-VF-2",
			enginetest.Request{Query: polling, Header: http.Header{"Origin": {"a\nb"}}},
			3, "Bad request", "map[name:INVALID_ORIGIN origin:a\nb]",
		},
		{"EIO-VF-3", enginetest.Request{Query: polling + "&sid=test"}, 1, "Session ID unknown", "map[sid:test]"},
		{
			"EIO-VF-4",
			enginetest.Request{Query: websocket + "&sid=SID"},
			3, "Bad request", "map[name:TRANSPORT_MISMATCH previousTransport:polling transport:websocket]",
		},
		{
			"EIO-VF-5",
			enginetest.Request{Query: "EIO=3&transport=polling&sid=SID"},
			3, "Bad request", "map[name:PROTOCOL_MISMATCH previousProtocol:4 protocol:3]",
		},
		{"EIO-VF-6", enginetest.Request{Method: "OPTIONS", Query: polling}, 2, "Bad handshake method", "map[method:OPTIONS]"},
		{"EIO-VF-7", enginetest.Request{Query: websocket}, 3, "Bad request", "map[name:TRANSPORT_HANDSHAKE_ERROR]"},
		{
			"EIO-VF-8",
			enginetest.Request{Query: polling + "&refuse=1"},
			4, "Forbidden", "map[message:not you]",
		},
		{"EIO-VF-9", enginetest.Request{Query: "EIO=3&transport=polling"}, 5, "Unsupported protocol version", "map[protocol:3]"},
		{
			"EIO-VF-11",
			enginetest.Request{Query: websocket, Header: enginetest.Handshake(), UpgradeErr: errors.New("no")},
			3, "Bad request", "map[error:no name:TRANSPORT_HANDSHAKE_ERROR]",
		},
		{
			"origin",
			enginetest.Request{Query: websocket, Header: fromPage("http://b.com")},
			4, "Forbidden", "map[name:ORIGIN_NOT_ALLOWED origin:http://b.com]",
		},
	} {
		var told []engine.ConnectionError
		opts := engine.Options{
			AllowRequest: func(r *engine.Request) error {
				if r.Query.Has("refuse") {
					return &engine.HTTPError{Message: "not you"}
				}
				return nil
			},
			OnConnectionError: func(err engine.ConnectionError) { told = append(told, err) },
		}
		inBubble(t, "EIO-ER-6 "+c.name, opts, func(t *testing.T, k *enginetest.Kit) {
			p := k.OpenPolling()
			c.request.Query = strings.ReplaceAll(c.request.Query, "SID", p.SID)
			k.Do(c.request)
			k.Log.Loud() // of interest elsewhere
			if len(told) != 1 {
				t.Fatalf("told %d times: %v", len(told), told)
			}
			same(t, "code", told[0].Code, c.code)
			same(t, "message", told[0].Message, c.message)
			same(t, "context", fmt.Sprint(told[0].Context), c.context)
			same(t, "request", told[0].Request.URI, "/engine.io/?"+c.request.Query)
			same(t, "as an error", strings.HasPrefix(told[0].Error(), "engine: "+c.message), true)
		})
	}
	inBubble(t, "a panic is logged", engine.Options{
		OnConnectionError: func(engine.ConnectionError) { panic("a bug") },
	}, func(t *testing.T, k *enginetest.Kit) {
		same(t, "answer", k.Do(enginetest.Request{}).String(), unknownTransport)
		loud(t, k, "panic: a bug")
	})
}

// headerHooks returns options whose hooks add a header and count their calls.
func headerHooks(initial, all *int) engine.Options {
	return engine.Options{
		Cookie: &engine.Cookie{},
		OnInitialHeaders: func(h http.Header, _ *engine.Request) {
			*initial++
			h.Set("Hello", "once")
			h.Add("Set-Cookie", "mycookie=1")
		},
		OnHeaders: func(h http.Header, _ *engine.Request) {
			*all++
			h.Set("Hello-Too", h.Get("Hello")+"|always")
		},
	}
}

func TestHeaderHooks(t *testing.T) {
	var initial, all int
	inBubble(t, "EIO-HD-3, EIO-HD-4, EIO-HD-5, EIO-UP-16 polling", headerHooks(&initial, &all), func(t *testing.T, k *enginetest.Kit) {
		initial, all = 0, 0
		a := k.Do(enginetest.Request{Query: polling})
		sid := a.Body[len(`0{"sid":"`):][:20]
		same(t, "handshake", a.Header.Get("Hello"), "once")
		same(t, "order", a.Header.Get("Hello-Too"), "once|always")
		same(t, "EIO-HD-5 cookies, ours first", strings.Join(a.Header["Set-Cookie"], "|"),
			"io="+sid+"; Path=/; HttpOnly; SameSite=Lax|mycookie=1")

		k.Peer(sid).Send("a")
		for _, r := range []enginetest.Request{
			{Query: polling + "&sid=" + sid},
			{Query: polling + "&sid=" + sid, Method: http.MethodPost, Body: strings.NewReader("4b")},
		} {
			a := k.Do(r)
			same(t, "later: status", a.Status, 200)
			same(t, "later", a.Header.Get("Hello"), "")
			same(t, "later", a.Header.Get("Hello-Too"), "|always")
			same(t, "later: cookies", len(a.Header["Set-Cookie"]), 0)
		}
		up := k.Dial(websocket + "&sid=" + sid).Head.Header
		same(t, "upgrade", up.Get("Hello"), "")
		same(t, "upgrade", up.Get("Hello-Too"), "|always")
		same(t, "initial", initial, 1)
		same(t, "all", all, 4)
		same(t, "error", k.Do(enginetest.Request{}).Header.Get("Hello-Too"), "")
		same(t, "all, behind an error", all, 4)
	})
	inBubble(t, "EIO-HD-3, EIO-HD-4 websocket", headerHooks(&initial, &all), func(t *testing.T, k *enginetest.Kit) {
		initial, all = 0, 0
		h := k.Dial(websocket).Head.Header
		same(t, "hello", h.Get("Hello"), "once")
		same(t, "hello too", h.Get("Hello-Too"), "once|always")
		same(t, "EIO-CK-9 cookies", strings.Join(h["Set-Cookie"], "|"), "mycookie=1")
		same(t, "initial", initial, 1)
		same(t, "all", all, 1)
	})
	inBubble(t, "a panic is logged", engine.Options{
		OnHeaders: func(http.Header, *engine.Request) { panic("a bug") },
	}, func(t *testing.T, k *enginetest.Kit) {
		same(t, "answer", k.Do(enginetest.Request{Query: polling}).Status, 200)
		loud(t, k, "panic: a bug")
	})
}

func TestFixedHeaders(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/4.0 (compatible;MSIE 8.0; Windows NT 6.0)":             "0",
		"Mozilla/5.0 (Windows NT 6.3; Trident/7.0; rv:11.0) like Gecko": "0",
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko Firefox/140.0": "",
		"": "",
	} {
		inBubble(t, "EIO-HD-2 "+agent, engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
			p := k.OpenPolling()
			p.Send("a")
			for _, r := range []enginetest.Request{
				{Query: p.Query()}, {Query: p.Query(), Method: http.MethodPost, Body: strings.NewReader("4b")},
			} {
				r.Header = http.Header{"User-Agent": {agent}}
				a := k.Do(r)
				same(t, "header", a.Header.Get("X-XSS-Protection"), want)
				same(t, "EIO-HD-1", a.Header.Get("Cache-Control"), "no-store")
			}
		})
	}
}
