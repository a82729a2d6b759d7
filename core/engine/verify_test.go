package engine_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

const (
	polling   = "EIO=4&transport=polling"
	websocket = "EIO=4&transport=websocket"
)

// A refused request names the session of the test, which is over polling, with
// SID.
func TestVerification(t *testing.T) {
	origin := func(v string) http.Header { return http.Header{"Origin": {v}} }
	for _, c := range []struct {
		name   string
		method string
		query  string
		header http.Header
		want   string
	}{
		{"EIO-VF-1 another transport", "GET", "EIO=4&transport=tobi", nil, unknownTransport},
		{"EIO-VF-1 no transport", "GET", "EIO=4", nil, unknownTransport},
		{"EIO-VF-1 no query", "GET", "", nil, unknownTransport},
		{"EIO-VF-1 empty transport", "GET", "EIO=4&transport=", nil, unknownTransport},
		{"EIO-VF-1 constructor", "GET", "EIO=4&transport=constructor", nil, unknownTransport},
		{"EIO-VF-1 __proto__", "GET", "EIO=4&transport=__proto__", nil, unknownTransport},
		{"EIO-VF-1 webtransport", "GET", "EIO=4&transport=webtransport", nil, unknownTransport},
		{"EIO-VF-1 comes before all else", "POST", "transport=x&sid=y", origin("\n"), unknownTransport},
		{"EIO-VF-2 newline in Origin", "GET", polling, origin("http://a\nb"), badRequest},
		{"EIO-VF-2 DEL in Origin", "GET", polling, origin("http://a\x7f"), badRequest},
		{"EIO-VF-2 comes before the session", "GET", polling + "&sid=y", origin("\x00"), badRequest},
		{"EIO-VF-3 unknown session", "GET", polling + "&sid=test", nil, unknownSession},
		{"EIO-VF-3 __proto__", "GET", polling + "&sid=__proto__", nil, unknownSession},
		{"EIO-VF-3 comes before the method", "PUT", polling + "&sid=test", nil, unknownSession},
		{"EIO-VF-4 another transport than the session's", "GET", websocket + "&sid=SID", nil, badRequest},
		{"EIO-VF-5 another revision than the session's", "GET", "EIO=3&transport=polling&sid=SID", nil, badRequest},
		{"EIO-VF-5 no revision", "POST", "transport=polling&sid=SID", nil, badRequest},
		{"EIO-VF-6 handshake by POST", "POST", polling, nil, badMethod},
		{"EIO-VF-6 comes before the transport", "POST", websocket, nil, badMethod},
		{"EIO-VF-7 websocket without an upgrade", "GET", websocket, nil, badRequest},
		{"EIO-VF-7 comes before the revision", "GET", "EIO=3&transport=websocket", nil, badRequest},
		{"EIO-VF-9 revision 3", "GET", "EIO=3&transport=polling", nil, badVersion},
		{"EIO-VF-9 no revision", "GET", "transport=polling", nil, badVersion},
		{"EIO-VF-9 not a number", "GET", "EIO=abc&transport=polling", nil, badVersion},
		{"EIO-VF-9 exactly 4", "GET", "EIO=04&transport=polling", nil, badVersion},
		{"EIO-VF-21 POST with an empty sid", "POST", polling + "&sid=", nil, badMethod},
		{"EIO-RT-6 the last value of a repeated key wins", "GET", polling + "&EIO=3", nil, badVersion},
		{"EIO-RT-6 for transport", "GET", polling + "&transport=x", nil, unknownTransport},
		{"EIO-RT-6 for sid", "GET", polling + "&sid=SID&sid=x", nil, unknownSession},
	} {
		inBubble(t, c.name, engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
			p := k.OpenPolling()
			got := k.Do(enginetest.Request{
				Method: c.method, Query: strings.ReplaceAll(c.query, "SID", p.SID), Header: c.header,
			})
			same(t, "answer", got.String(), c.want)
			same(t, "EIO-ER-1 content type", got.Header.Get("Content-Type"), "application/json")
			same(t, "EIO-HD-1 cache control", got.Header.Get("Cache-Control"), "")
			same(t, "sessions", k.Remembered(), 1)
			p.Send("still here")
			same(t, "the session", p.Get(), "200 4still here")
		})
	}
}

// The same for requests that want to be upgraded, which are answered with the
// message alone.
func TestVerificationUpgrade(t *testing.T) {
	with := func(name, value string) http.Header {
		h := enginetest.Handshake()
		h.Set(name, value)
		return h
	}
	for _, c := range []struct {
		name   string
		query  string
		header http.Header
		want   string
	}{
		{"EIO-VF-1 no query", "", nil, "400 Transport unknown"},
		{"EIO-VF-1 __proto__", "EIO=4&transport=__proto__", nil, "400 Transport unknown"},
		{"EIO-VF-2", websocket, with("Origin", "a\x01"), "400 Bad request"},
		{"EIO-VF-3", websocket + "&sid=test", nil, "400 Session ID unknown"},
		{"EIO-VF-5", "EIO=3&transport=websocket&sid=SID", nil, "400 Bad request"},
		{"EIO-VF-9, EIO-ER-8 better: before the 101", "EIO=3&transport=websocket", nil, "400 Unsupported protocol version"},
		{"EIO-VF-9 no revision", "transport=websocket", nil, "400 Unsupported protocol version"},
		{"EIO-WS-20 better: polling on a WebSocket is refused", polling, nil, "400 Bad request"},
		{"EIO-WS-20 with a session", polling + "&sid=SID", nil, "400 Bad request"},
	} {
		inBubble(t, c.name, engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
			p := k.OpenPolling()
			if c.header == nil {
				c.header = enginetest.Handshake()
			}
			got := k.Do(enginetest.Request{Query: strings.ReplaceAll(c.query, "SID", p.SID), Header: c.header})
			same(t, "EIO-ER-4 answer", got.String(), c.want)
			same(t, "EIO-ER-4 content type", got.Header.Get("Content-Type"), "text/html")
			same(t, "EIO-ER-4 connection", got.Header.Get("Connection"), "close")
			same(t, "sessions", k.Remembered(), 1)
			p.Send("still here")
			same(t, "the session", p.Get(), "200 4still here")
		})
	}
}

func TestVerificationPasses(t *testing.T) {
	for _, c := range []struct {
		name, query string
		header      http.Header
	}{
		{"EIO-VF-2 any legal Origin", polling, http.Header{"Origin": {"http://\xe9\t ~.test"}}},
		{"EIO-VF-21 GET with an empty sid", polling + "&sid=", nil},
		{"EIO-RT-6 the last value counts", "EIO=3&transport=x&" + polling, nil},
		{"EIO-RT-6 percent-encoding", "E%49O=%34&transport=poll%69ng", nil},
		{"EIO-RT-7 t is ignored", polling + "&t=PqRs7", nil},
		{"a poll that offers HTTP/2, as Java's client does", polling, http.Header{
			"Connection": {"Upgrade, HTTP2-Settings"}, "Upgrade": {"h2c"}, "Http2-Settings": {"AAEAAEAAAAIAAAAB"},
		}},
		{"EIO-RT-7 unknown keys are left alone", polling + "&room=a+b&room=c%20d", nil},
	} {
		inBubble(t, c.name, engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
			same(t, "status", k.Do(enginetest.Request{Query: c.query, Header: c.header}).Status, 200)
			same(t, "sessions", k.Remembered(), 1)
			if c.header.Get("Origin") != "" {
				loud(t, k, "its browser keeps the answers from it")
			}
		})
	}
}

func TestRouting(t *testing.T) {
	inBubble(t, "EIO-RT-6, EIO-UP-14 the session keeps the query", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		var p *enginetest.Peer
		k.OnMessage = func(peer *enginetest.Peer, _ bool, _ []byte) { p = peer }
		c := k.Dial(websocket + "&room=a+b&room=c%20d")
		c.Text("4x")
		c.Next()
		c.Ping("") // its answer shows that the message was handled
		c.Next()
		q := p.Session.Request().Query
		same(t, "room", strings.Join(q["room"], "|"), "a b|c d")
		same(t, "transport", q.Get("transport"), "websocket")
	})
	inBubble(t, "EIO-WS-22 polling alone", engine.Options{Transports: []string{"polling"}}, func(t *testing.T, k *enginetest.Kit) {
		got := k.Do(enginetest.Request{Query: websocket, Header: enginetest.Handshake()})
		same(t, "websocket", got.String(), "400 Transport unknown")
		same(t, "polling", k.Do(enginetest.Request{Query: polling}).Status, 200)
	})
	inBubble(t, "EIO-WS-22 websocket alone", engine.Options{Transports: []string{"websocket"}}, func(t *testing.T, k *enginetest.Kit) {
		same(t, "polling", k.Do(enginetest.Request{Query: polling}).String(), unknownTransport)
		k.Dial(websocket)
		same(t, "sessions", k.Remembered(), 1)
	})
}

// EIO-VF-11: what the host does to a handshake that was verified.
func TestConnectionNotTaken(t *testing.T) {
	inBubble(t, "EIO-VF-11", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		got := k.Do(enginetest.Request{
			Query: websocket, Header: enginetest.Handshake(), UpgradeErr: errors.New("no hijacking here"),
		})
		same(t, "status", got.Status, http.StatusInternalServerError)
		same(t, "sessions", k.Remembered(), 0)
		// Only the operator can cause this, so it is for them to know.
		if loud := k.Log.Loud(); len(loud) != 1 || !strings.Contains(loud[0], "no hijacking here") {
			t.Errorf("logged: %q", loud)
		}
	})
}
