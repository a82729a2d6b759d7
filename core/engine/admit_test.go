package engine_test

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

func TestAllowRequest(t *testing.T) {
	refuse := func(err error) engine.Options {
		return engine.Options{AllowRequest: func(*engine.Request) error { return err }}
	}
	for _, c := range []struct {
		name      string
		err       error
		plain, ws string
	}{
		{"EIO-VF-8 with a message", &engine.HTTPError{Message: "not you"}, `403 {"code":4,"message":"not you"}`, "400 not you"},
		{
			"EIO-VF-8 wrapped", fmt.Errorf("checking: %w", &engine.HTTPError{Message: "no", Err: errors.New("secret")}),
			`403 {"code":4,"message":"no"}`, "400 no",
		},
		{"EIO-VF-23 without", &engine.HTTPError{}, `403 {"code":4,"message":"Forbidden"}`, "400 Forbidden"},
		{
			"EIO-VF-8 better: with a status", &engine.HTTPError{Status: http.StatusTooManyRequests},
			`429 {"code":4,"message":"Too Many Requests"}`, "429 Too Many Requests",
		},
		{"EIO-VF-8 any other error", errors.New("secret"), `403 {"code":4,"message":"Forbidden"}`, "400 Forbidden"},
	} {
		inBubble(t, c.name, refuse(c.err), func(t *testing.T, k *enginetest.Kit) {
			same(t, "EIO-ER-1", k.Do(enginetest.Request{Query: polling}).String(), c.plain)
			same(t, "EIO-ER-4", k.Do(enginetest.Request{Query: websocket, Header: enginetest.Handshake()}).String(), c.ws)
			same(t, "EIO-VF-22 comes before the revision",
				k.Do(enginetest.Request{Query: "EIO=3&transport=polling"}).String(), c.plain)
			same(t, "EIO-VF-6 comes first", k.Do(enginetest.Request{Method: http.MethodPost, Query: polling}).String(), badMethod)
			same(t, "EIO-VF-7 comes first", k.Do(enginetest.Request{Query: websocket}).String(), badRequest)
			same(t, "sessions", k.Remembered(), 0)
		})
	}
	inBubble(t, "a panic refuses", engine.Options{
		AllowRequest: func(*engine.Request) error { panic("a bug") },
	}, func(t *testing.T, k *enginetest.Kit) {
		same(t, "answer", k.Do(enginetest.Request{Query: polling}).String(), `403 {"code":4,"message":"Forbidden"}`)
		loud(t, k, "panic: a bug")
	})
	var asked []string
	inBubble(t, "EIO-VF-20 once for each session", engine.Options{AllowRequest: func(r *engine.Request) error {
		asked = append(asked, r.Method+" "+r.Query.Get("transport"))
		return nil
	}}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		p.Send("a")
		same(t, "poll", p.Get(), "200 4a")
		same(t, "POST", p.Post("4b"), "200 ok")
		p.Upgrade()
		k.Dial(websocket)
		same(t, "asked", strings.Join(asked, "|"), "GET polling|GET websocket")
	})
}

func TestGenerateID(t *testing.T) {
	inBubble(t, "EIO-HS-5", engine.Options{GenerateID: func(r *engine.Request) (string, error) {
		return "id-" + r.Query.Get("name"), nil
	}}, func(t *testing.T, k *enginetest.Kit) {
		a := k.Do(enginetest.Request{Query: polling + "&name=ada"})
		same(t, "polling", strings.HasPrefix(a.Body, `0{"sid":"id-ada",`), true)
		same(t, "websocket", strings.HasPrefix(k.Dial(websocket+"&name=bob").Next(), `0{"sid":"id-bob",`), true)
		k.Peer("id-ada").Send("hello")
		same(t, "poll", k.Do(enginetest.Request{Query: polling + "&sid=id-ada"}).String(), "200 4hello")

		same(t, "better: an id in use", k.Do(enginetest.Request{Query: polling + "&name=ada"}).String(), badRequest)
		loud(t, k, "there is a session with this id")
		same(t, "sessions", k.Remembered(), 2)
	})
	for _, c := range []struct {
		name, id string
		err      error
		loud     string
	}{
		{"EIO-VF-10 error", "x", errors.New("no entropy"), "no entropy"},
		{"empty", "", nil, "is empty"},
		{"what JSON would need to escape", `a"b`, nil, "characters"},
		{"what a query would need to escape", "a b", nil, "characters"},
	} {
		var told []engine.ConnectionError
		opts := engine.Options{
			GenerateID:        func(*engine.Request) (string, error) { return c.id, c.err },
			OnConnectionError: func(err engine.ConnectionError) { told = append(told, err) },
		}
		inBubble(t, c.name, opts, func(t *testing.T, k *enginetest.Kit) {
			same(t, "polling", k.Do(enginetest.Request{Query: polling}).String(), badRequest)
			loud(t, k, c.loud) // once: clients may be able to cause it at will
			ws := enginetest.Request{Query: websocket, Header: enginetest.Handshake()}
			same(t, "EIO-ER-8 better: before the 101", k.Do(ws).String(), "400 Bad request")
			same(t, "sessions", k.Remembered(), 0)
			same(t, "told", len(told), 2)
			same(t, "name", told[1].Context["name"], any("ID_GENERATION_ERROR"))
			if err, ok := told[1].Context["error"].(error); !ok || (c.err != nil && !errors.Is(err, c.err)) {
				t.Errorf("context: %v", told[1].Context)
			}
		})
	}
}

func TestInitialPacket(t *testing.T) {
	for _, c := range []struct {
		name    string
		packet  any
		query   string
		payload string
		frame   string
	}{
		{"EIO-HS-7 text", "hello", "EIO=4", "4hello", "4hello"},
		{"EIO-HS-7 empty", "", "EIO=4", "4", "4"},
		{"EIO-HS-7 binary", []byte{1, 2}, "EIO=4", "bAQI=", "<0102>"},
		{"EIO-HS-7, EIO-ENC-4 binary for who takes text", []byte{1, 2}, "EIO=4&b64=1", "bAQI=", "bAQI="},
	} {
		inBubble(t, c.name, engine.Options{InitialPacket: c.packet}, func(t *testing.T, k *enginetest.Kit) {
			for range 2 { // it is the same for everybody
				_, second, _ := strings.Cut(k.Do(enginetest.Request{Query: c.query + "&transport=polling"}).Body, "\x1e")
				same(t, "polling", second, c.payload)
				ws := k.Dial(c.query + "&transport=websocket")
				same(t, "first frame", ws.Next()[:1], "0")
				same(t, "second frame", ws.Next(), c.frame)
			}
		})
	}
	inBubble(t, "EIO-HS-7, EIO-V3-12 binary in revision 3", engine.Options{
		InitialPacket: []byte{1, 2}, AllowEIO3: true,
	}, func(t *testing.T, k *enginetest.Kit) {
		ws := k.Dial("EIO=3&transport=websocket")
		same(t, "first frame", ws.Next()[:1], "0")
		same(t, "second frame", ws.Next(), "<040102>")
	})
	t.Run("neither text nor binary", func(t *testing.T) {
		if err := (&engine.Options{InitialPacket: 1}).Validate(); err == nil {
			t.Error("not found to be wrong")
		}
	})
}

// use returns options with middleware that returns these errors, and notes in
// calls and in the answer's header that it ran.
func use(calls *[]string, errs ...error) engine.Options {
	var o engine.Options
	for i, err := range errs {
		o.UseRequest = append(o.UseRequest, func(h http.Header, _ *engine.Request) error {
			*calls = append(*calls, strconv.Itoa(i))
			h.Add("X-Test", strconv.Itoa(i))
			h.Set("Content-Type", "is ours")
			return err
		})
	}
	return o
}

func TestUseRequest(t *testing.T) {
	var calls []string
	opts := use(&calls, nil, nil, nil)
	inBubble(t, "EIO-MW-1, EIO-MW-5, EIO-MW-4 every request, in order", opts, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		p.Send("a")
		poll := p.Poll().Wait()
		same(t, "poll", poll.String(), "200 4a")
		same(t, "content type", poll.Header.Get("Content-Type"), "text/plain; charset=UTF-8")
		post := k.Do(enginetest.Request{Method: http.MethodPost, Query: p.Query(), Body: strings.NewReader("4b")})
		same(t, "POST", post.String(), "200 ok")
		same(t, "message", strings.Join(p.Messages(), "|"), "b")
		large := k.Do(enginetest.Request{Method: http.MethodPost, Query: p.Query(), Body: strings.NewReader(strings.Repeat("x", 1e6+1))})
		same(t, "EIO-MW-4 limit", large.String(), "413")
		bad := k.Do(enginetest.Request{Query: "transport=x"})
		same(t, "error", bad.String(), unknownTransport)
		same(t, "before verification", len(calls), 5*3)
		same(t, "in order", strings.Join(calls[:6], ""), "012012")
		for what, h := range map[string]http.Header{
			"poll": poll.Header, "POST": post.Header, "413": large.Header, "error": bad.Header,
			"upgrade": p.Upgrade().Head.Header, "websocket": k.Dial(websocket).Head.Header,
		} {
			same(t, what, strings.Join(h["X-Test"], ""), "012")
		}
	})
	calls = nil
	opts = use(&calls, nil)
	opts.CORS = &engine.CORS{Origins: []string{"http://a.com"}}
	inBubble(t, "CORS comes first", opts, func(t *testing.T, k *enginetest.Kit) {
		same(t, "preflight", k.Do(enginetest.Request{Method: http.MethodOptions}).String(), "204")
		same(t, "calls", len(calls), 0)
	})
}

func TestUseRequestRefuses(t *testing.T) {
	for _, c := range []struct {
		name, plain, ws string
		err             error
		told            int
	}{
		{
			"EIO-MW-2 an answer of its own", "503 come back later", "503 come back later",
			&engine.HTTPError{Status: 503, Message: "come back later"}, 0,
		},
		{"EIO-MW-2 wrapped", "401 Unauthorized", "401 Unauthorized", fmt.Errorf("x: %w", &engine.HTTPError{Status: 401}), 0},
		{"EIO-MW-3, EIO-VF-12 any other error", badRequest, "400 Bad request", errors.New("secret"), 2},
	} {
		var calls []string
		opts := use(&calls, nil, c.err, nil)
		var told []engine.ConnectionError
		opts.OnConnectionError = func(err engine.ConnectionError) { told = append(told, err) }
		inBubble(t, c.name, opts, func(t *testing.T, k *enginetest.Kit) {
			for _, r := range []enginetest.Request{{Query: polling}, {Query: websocket, Header: enginetest.Handshake()}} {
				a := k.Do(r)
				want := c.plain
				if r.Header != nil {
					want = c.ws
				}
				same(t, "answer", a.String(), want)
				same(t, "headers", strings.Join(a.Header["X-Test"], ""), "01")
			}
			same(t, "calls", strings.Join(calls, ""), "0101")
			same(t, "sessions", k.Remembered(), 0)
			same(t, "EIO-MW-2 told", len(told), c.told)
			for _, err := range told {
				same(t, "name", err.Context["name"], any("MIDDLEWARE_FAILURE"))
			}
		})
	}
	inBubble(t, "EIO-MW-3 a panic is an error", engine.Options{UseRequest: []func(http.Header, *engine.Request) error{
		func(http.Header, *engine.Request) error { panic("a bug") },
	}}, func(t *testing.T, k *enginetest.Kit) {
		same(t, "answer", k.Do(enginetest.Request{Query: polling}).String(), badRequest)
		loud(t, k, "panic: a bug")
	})
}

// What a session keeps of its request is bounded, whichever part of that is large.
func TestLargeHandshakesAreRefused(t *testing.T) {
	const limit = 2000
	large := strings.Repeat("x", limit)
	header := func(k, v string) http.Header {
		h := enginetest.Handshake()
		h.Set(k, v)
		return h
	}
	many := enginetest.Handshake()
	for i := range 100 {
		many.Add("X-Pad", fmt.Sprint("some value ", i))
	}
	for name, r := range map[string]enginetest.Request{
		"one header":   {Header: header("Cookie", large)},
		"its name":     {Header: header("X-"+large, "")},
		"many headers": {Header: many},
		"host":         {Header: enginetest.Handshake(), Host: large},
		"query":        {Header: enginetest.Handshake(), Query: "&x=" + large},
	} {
		var told []engine.ConnectionError
		opts := engine.Options{
			MaxHandshakeBytes: limit,
			OnConnectionError: func(err engine.ConnectionError) { told = append(told, err) },
		}
		inBubble(t, name, opts, func(t *testing.T, k *enginetest.Kit) {
			query := r.Query
			r.Query = websocket + query
			same(t, "WebSocket", k.Do(r).String(), "431 Request Header Fields Too Large")
			r.Query, r.Header = polling+query, r.Header.Clone()
			r.Header.Del("Upgrade")
			same(t, "polling", k.Do(r).String(), `431 {"code":3,"message":"Request Header Fields Too Large"}`)
			same(t, "sessions", k.Remembered(), 0)
			same(t, "told", len(told), 2)
			same(t, "why", told[0].Context["name"], any("HANDSHAKE_TOO_LARGE"))
			same(t, "limit", told[0].Context["limit"], any(limit))
		})
	}
	inBubble(t, "a smaller one, and later requests", engine.Options{MaxHandshakeBytes: limit}, func(t *testing.T, k *enginetest.Kit) {
		k.DialRequest(enginetest.Request{Query: websocket, Header: header("Cookie", large[:limit-500])})
		p := k.OpenPolling()
		p.Send("x") // of other requests nothing is kept
		r := enginetest.Request{Query: p.Query(), Header: http.Header{"Cookie": {large}}}
		same(t, "poll", k.Do(r).String(), "200 4x")
	})
	inBubble(t, "the default is that of Node.js", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		same(t, "above", k.Do(enginetest.Request{Query: polling, Header: header("Cookie", strings.Repeat("x", 16<<10))}).Status, 431)
		k.DialRequest(enginetest.Request{Query: websocket, Header: header("Cookie", strings.Repeat("x", 15<<10))})
	})
}
