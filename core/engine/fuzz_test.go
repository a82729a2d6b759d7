package engine_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// A script of the fuzzer is one request a line:
//
//	method query kind body
//
// SID in a query stands for the newest session. The kind is a content type,
// "-" for none, "ws" for a WebSocket handshake with the body as bytes behind it,
// or "text" for one with the body's packets as messages. Whatever it does, the
// server answers as the protocol says, logs nothing above Debug, and can be shut
// down with nothing left.
func FuzzServe(f *testing.F) {
	for _, script := range []string{
		"GET EIO=4&transport=polling - ",
		"GET EIO=4&transport=polling - \nPOST EIO=4&transport=polling&sid=SID - 4hello\x1ebAQID\nGET EIO=4&transport=polling&sid=SID - ",
		"GET EIO=4&transport=polling - \nGET EIO=4&transport=polling&sid=SID - \nGET EIO=4&transport=polling&sid=SID - ",
		"GET EIO=4&transport=polling - \nGET EIO=4&transport=websocket&sid=SID text 2probe\x1e5\x1e4x\nGET EIO=4&transport=polling&sid=SID - ",
		"GET EIO=4&transport=websocket text 4a\x1e3\x1e1\x1e4b",
		"GET EIO=4&transport=websocket ws \x81\x82\x01\x02\x03\x04\x35\x63\x88\x80\x00\x00\x00\x00",
		"GET EIO=4&transport=websocket&b64=1 ws \x82\x81\x00\x00\x00\x00\xff\x89\x80\x00\x00\x00\x00",
		"GET EIO=3&transport=polling - \nPOST EIO=3&transport=polling&sid=SID - 6:4hello1:2",
		"GET EIO=3&transport=polling - \nPOST EIO=3&transport=polling&sid=SID application/octet-stream \x00\x02\xff4a\x01\x02\xff\x04b",
		"GET EIO=3&transport=websocket ws \x82\x82\x00\x00\x00\x00\x04\xff",
		"GET EIO=4&transport=polling&j=0 - \nPOST EIO=4&transport=polling&j=0&sid=SID application/x-www-form-urlencoded d=4a\\\\n",
		"GET EIO=4&transport=polling - \nPOST EIO=4&transport=polling&sid=SID - 1\nGET EIO=4&transport=polling&sid=SID - ",
		"OPTIONS EIO=4&transport=polling - \nPUT transport=x&sid=y - \nHEAD % - ",
	} {
		f.Add([]byte(script))
	}
	allowed := []int{0, 101, 200, 204, 400, 403, 405, 413, 499}
	f.Fuzz(func(t *testing.T, script []byte) {
		k := enginetest.New(t, engine.Options{
			MaxHTTPBufferSize: 1000, MaxSendBuffer: 10_000, UpgradeTimeout: time.Minute, AllowEIO3: true,
		})
		k.OnMessage = enginetest.Echo
		var calls []*enginetest.Call
		for line := range strings.SplitSeq(string(script), "\n") {
			if call := play(k, line); call != nil {
				calls = append(calls, call)
			}
		}
		for _, call := range calls {
			call.Abort()
		}
		for _, call := range calls {
			if a := call.Wait(); !slices.Contains(allowed, a.Status) {
				t.Errorf("answer %v", a)
			}
		}
		k.CloseAll()
		if err := k.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		same(t, "sessions", k.Remembered(), 0)
	})
}

// play makes the request of one line. It waits for all answers but those to
// polls, which it returns.
func play(k *enginetest.Kit, line string) *enginetest.Call {
	fields := append(strings.SplitN(line, " ", 4), "", "", "")
	sid := ""
	if p := k.LastPeer(); p != nil {
		sid = p.Session.ID()
	}
	query, _ := url.ParseQuery(strings.ReplaceAll(fields[1], "SID", sid)) // net/http ignores the error, too
	r := enginetest.Request{Method: fields[0], Query: query.Encode()}
	switch kind, body := fields[2], fields[3]; kind {
	case "ws", "text":
		r.Header, r.Ahead = enginetest.Handshake(), []byte(body)
		if kind == "text" {
			r.Ahead = nil
			for s := range strings.SplitSeq(body, "\x1e") {
				r.Ahead = append(r.Ahead, enginetest.MaskedText(s)...)
			}
		}
		if c, _ := k.TryDial(r); c != nil {
			c.Resume()
		}
		return nil
	default:
		r.Header = http.Header{"Content-Type": {kind}}
		r.Body = strings.NewReader(body)
	}
	call := k.Start(r)
	if call.Request().Method != http.MethodGet {
		call.Wait()
	}
	return call
}
