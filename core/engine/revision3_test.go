package engine_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
	"github.com/sioplug/sioplug/internal/frame"
)

const (
	polling3   = "EIO=3&transport=polling"
	websocket3 = "EIO=3&transport=websocket"
	octets     = "application/octet-stream"
)

// eio3 lets clients of revision 3 in.
func eio3() engine.Options { return engine.Options{AllowEIO3: true} }

// An oldPolling is a client of revision 3 that uses long-polling.
type oldPolling struct {
	*enginetest.Peer

	k     *enginetest.Kit
	query string
}

// openOld opens a session whose query has more behind the usual.
func openOld(t *testing.T, k *enginetest.Kit, more string) *oldPolling {
	t.Helper()
	a := k.Do(enginetest.Request{Query: polling3 + more})
	size, packet, _ := strings.Cut(a.Body, ":")
	same(t, "EIO-V3-2 length", size, strconv.Itoa(len(packet)))
	return &oldPolling{oldPeer(t, k, packet), k, polling3 + "&sid=" + sidOf(t, packet)}
}

// sidOf checks an open packet and returns the session id in it.
func sidOf(t *testing.T, packet string) string {
	t.Helper()
	data, ok := strings.CutPrefix(packet, "0")
	var hello map[string]any
	if err := json.Unmarshal([]byte(data), &hello); err != nil || !ok {
		t.Fatalf("handshake %q: %v", packet, err)
	}
	same(t, "EIO-HS-3 keys", len(hello), 5)
	sid, _ := hello["sid"].(string)
	return sid
}

func oldPeer(t *testing.T, k *enginetest.Kit, packet string) *enginetest.Peer {
	t.Helper()
	p := k.Peer(sidOf(t, packet))
	same(t, "EIO-V3-1 protocol", p.Session.Protocol(), 3)
	return p
}

func (o *oldPolling) poll() *enginetest.Call { return o.k.Start(enginetest.Request{Query: o.query}) }
func (o *oldPolling) get() string            { return o.poll().Wait().String() }
func (o *oldPolling) post(body string) string {
	return o.postAs("text/plain;charset=UTF-8", body)
}

func (o *oldPolling) postAs(contentType, body string) string {
	return o.k.Do(enginetest.Request{
		Method: http.MethodPost, Query: o.query, Body: strings.NewReader(body),
		Header: http.Header{"Content-Type": {contentType}},
	}).String()
}

func (o *oldPolling) sid() string { return o.Session.ID() }

// dialOld opens a session over WebSocket.
func dialOld(t *testing.T, k *enginetest.Kit, more string) (*enginetest.Conn, *enginetest.Peer) {
	t.Helper()
	c := k.Dial(websocket3 + more)
	return c, oldPeer(t, k, c.Next())
}

func TestRevision3Admission(t *testing.T) {
	inBubble(t, "EIO-V3-1, EIO-V3-18 refused by default", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		same(t, "polling", k.Do(enginetest.Request{Query: polling3}).String(), badVersion)
		same(t, "WebSocket", k.Do(enginetest.Request{Query: websocket3, Header: enginetest.Handshake()}).String(),
			"400 Unsupported protocol version")
		same(t, "sessions", k.Remembered(), 0)
	})
	for _, eio := range []string{"EIO=3", "EIO=2", "EIO=abc", "EIO=", "EIO=04", "EIO=4&EIO=3", "x=1"} {
		inBubble(t, "EIO-V3-1 all but 4 is revision 3: "+eio, eio3(), func(t *testing.T, k *enginetest.Kit) {
			a := k.Do(enginetest.Request{Query: "transport=polling&" + eio})
			_, packet, _ := strings.Cut(a.Body, ":")
			p := oldPeer(t, k, packet)
			p.Send("x")
			same(t, "a request of another spelling of it", k.Do(enginetest.Request{
				Query: polling3 + "&sid=" + p.Session.ID(),
			}).String(), "200 2:4x")
		})
	}
	inBubble(t, "EIO-V3-1, EIO-VF-5 the session keeps its revision", eio3(), func(t *testing.T, k *enginetest.Kit) {
		old, young := openOld(t, k, ""), k.OpenPolling()
		same(t, "protocol", young.Session.Protocol(), 4)
		for query, sid := range map[string]string{polling: old.sid(), polling3: young.SID} {
			same(t, query, k.Do(enginetest.Request{Query: query + "&sid=" + sid}).String(), badRequest)
		}
		same(t, "upgrade", k.Do(enginetest.Request{
			Query: websocket + "&sid=" + old.sid(), Header: enginetest.Handshake(),
		}).String(), "400 Bad request")
		old.Send("a")
		young.Send("b")
		same(t, "old", old.get(), "200 2:4a")
		same(t, "young", young.Get(), "200 4b")
	})
}

func TestRevision3Payloads(t *testing.T) {
	inBubble(t, "EIO-V3-2 lengths are UTF-16 code units", eio3(), func(t *testing.T, k *enginetest.Kit) {
		o := openOld(t, k, "")
		same(t, "post", o.post("5:4é€😀2:4b"), "200 ok")
		same(t, "messages", strings.Join(o.Messages(), "|"), "é€😀|b")
		o.Send("é€😀")
		same(t, "poll", o.get(), "200 5:4é€😀")
	})
	inBubble(t, "EIO-V3-3, EIO-V3-4 base64 only", eio3(), func(t *testing.T, k *enginetest.Kit) {
		o := openOld(t, k, "&b64=1")
		o.SendBinary("\x01\x02\x03\x04")
		o.SendBinary("")
		a := o.poll().Wait()
		same(t, "poll", a.String(), "200 10:b4AQIDBA==2:b4")
		same(t, "content type", a.Header.Get("Content-Type"), "text/plain; charset=UTF-8")
		same(t, "octets may come all the same", o.postAs(octets, "\x01\x02\xff\x04\x01"), "200 ok")
		same(t, "messages", strings.Join(o.Messages(), "|"), "<01>")
	})
	inBubble(t, "EIO-V3-4 later b64 is ignored", eio3(), func(t *testing.T, k *enginetest.Kit) {
		o := openOld(t, k, "")
		o.query += "&b64=1"
		o.SendBinary("a")
		same(t, "poll", o.get(), "200 \x01\x02\xff\x04a")
	})
	inBubble(t, "EIO-V3-5, EIO-V3-6 binary", eio3(), func(t *testing.T, k *enginetest.Kit) {
		o := openOld(t, k, "")
		o.Send("€")
		o.SendBinary("\x01\x02\x03\x04")
		a := o.poll().Wait()
		same(t, "poll", a.String(), "200 \x00\x04\xff4€\x01\x05\xff\x04\x01\x02\x03\x04")
		same(t, "content type", a.Header.Get("Content-Type"), octets)
	})
	inBubble(t, "EIO-V3-7 without binary it stays text", eio3(), func(t *testing.T, k *enginetest.Kit) {
		o := openOld(t, k, "")
		o.SendBinary("a")
		o.get()
		o.Send("a")
		a := o.poll().Wait()
		same(t, "poll", a.String(), "200 2:4a")
		same(t, "content type", a.Header.Get("Content-Type"), "text/plain; charset=UTF-8")
	})
	inBubble(t, "EIO-V3-9 posts in either form, 18.3-13", eio3(), func(t *testing.T, k *enginetest.Kit) {
		o := openOld(t, k, "")
		same(t, "text", o.post("4:4one6:b4AQID"), "200 ok")
		same(t, "octets", o.postAs(octets, "\x00\x01\x03\xff4€€€€\x01\x05\xff\x04\x01\x02\x03\x04"), "200 ok")
		same(t, "no octets", o.postAs(octets, ""), "200 ok")
		same(t, "no packet", o.post("0:"), "200 ok")
		same(t, "messages", strings.Join(o.Messages(), "|"), "one|<010203>|€€€€|<01020304>")
	})
	for name, c := range map[string]struct{ contentType, body string }{
		"EIO-V3-10 no length":            {"text/plain", "2:4aabc"},
		"EIO-V3-10 beyond the data":      {"text/plain", "2:4a3:4b"},
		"EIO-V3-10 the form of revision": {"text/plain", "2:4a4b\x1e4c"},
		"EIO-V3-11 truncated":            {octets, "\x00\x02\xff4a\x01\x03\xff\x04"},
	} {
		inBubble(t, name, eio3(), func(t *testing.T, k *enginetest.Kit) {
			o := openOld(t, k, "")
			parked := o.poll()
			synctest.Wait()
			same(t, "EIO-POST-7 post", o.postAs(c.contentType, c.body), "400")
			same(t, "poll", parked.Wait().String(), "200 1:1")
			same(t, "messages", strings.Join(o.Messages(), "|"), "a")
			same(t, "reason", o.End().Reason, engine.ParseError)
			same(t, "next poll", o.get(), unknownSession)
		})
	}
	inBubble(t, "EIO-V3-17 limits", engine.Options{AllowEIO3: true, MaxHTTPBufferSize: 10}, func(t *testing.T, k *enginetest.Kit) {
		o := openOld(t, k, "")
		same(t, "at the limit", o.post("8:41234567"), "200 ok")
		same(t, "beyond", o.post("9:412345678"), "413")
		same(t, "open", o.Open(), true)
	})
}

func TestRevision3WebSocket(t *testing.T) {
	inBubble(t, "EIO-V3-12, EIO-V3-13", eio3(), func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		c, p := dialOld(t, k, "")
		c.Text("4€😀")
		c.Binary("\x04\x01\x02\x03\x04")
		c.Binary("\x04")
		c.Text("b4AQID")
		wantFrames(t, c, "4€😀", "<0401020304>", "<04>", "<04010203>")
		same(t, "messages", strings.Join(p.Messages(), "|"), "€😀|<01020304>|<>|<010203>")
	})
	inBubble(t, "EIO-WS-12, EIO-ENC-4 base64 only", eio3(), func(t *testing.T, k *enginetest.Kit) {
		c, p := dialOld(t, k, "&b64=1")
		p.SendBinary("\x01\x02\x03\x04")
		wantFrames(t, c, "b4AQIDBA==")
	})
	for name, bad := range map[string]func(c *enginetest.Conn){
		"EIO-V3-12 empty binary":       func(c *enginetest.Conn) { c.Binary("") },
		"EIO-V3-12 type as in text":    func(c *enginetest.Conn) { c.Binary("4a") },
		"EIO-V3-3 form of revision 4":  func(c *enginetest.Conn) { c.Text("bAQID") },
		"EIO-WS-8 undecodable text":    func(c *enginetest.Conn) { c.Text("abc") },
		"EIO-WS-8 nothing":             func(c *enginetest.Conn) { c.Text("") },
		"EIO-WS-8 a payload, not text": func(c *enginetest.Conn) { c.Text("\x04a") },
	} {
		inBubble(t, name, eio3(), func(t *testing.T, k *enginetest.Kit) {
			c, p := dialOld(t, k, "")
			bad(c)
			wantFrames(t, c, "close")
			same(t, "reason", p.End().Reason, engine.ParseError)
		})
	}
	inBubble(t, "a broadcast's frames reach everybody in their own form", eio3(), func(t *testing.T, k *enginetest.Kit) {
		young, youngPeer := openWebSocket(t, k)
		youngText := k.Dial(websocket + "&b64=1")
		textPeer := k.Peer(sidOf(t, youngText.Next()))
		old, oldPeer := dialOld(t, k, "")
		oldText, oldTextPeer := dialOld(t, k, "&b64=1")
		shared := []*frame.Frame{
			frame.Text(append(frame.Buffer(0), "4text"...)), frame.Binary(append(frame.Buffer(0), "\xfb\xff"...)),
		}
		for range 2 {
			for _, p := range []*enginetest.Peer{youngPeer, textPeer, oldPeer, oldTextPeer} {
				if err := p.Session.Send(shared...); err != nil {
					t.Error(err)
				}
			}
			wantFrames(t, young, "4text", "<fbff>")
			wantFrames(t, youngText, "4text", "b+/8=")
			wantFrames(t, old, "4text", "<04fbff>")
			wantFrames(t, oldText, "4text", "b4+/8=")
		}
	})
}

func TestRevision3Upgrade(t *testing.T) {
	inBubble(t, "EIO-V3-14 as in revision 4", eio3(), func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		o := openOld(t, k, "")
		parked := o.poll()
		synctest.Wait()
		c := k.Dial(websocket3 + "&sid=" + o.sid())
		c.Text("2probe")
		wantFrames(t, c, "3probe")
		same(t, "parked poll", parked.Wait().String(), "200 1:6")
		o.SendBinary("a") // in the form for polling, were it fetched there
		c.Text("5")
		c.Binary("\x04b")
		wantFrames(t, c, "<0461>", "<0462>")
		same(t, "transport", o.Session.Transport(), "websocket")
		same(t, "poll", o.get(), badRequest)
	})
	inBubble(t, "EIO-UP-6 a ping that is no probe", eio3(), func(t *testing.T, k *enginetest.Kit) {
		o := openOld(t, k, "")
		c := k.Dial(websocket3 + "&sid=" + o.sid())
		c.Text("2")
		wantFrames(t, c, "close")
		o.Send("still here")
		same(t, "poll", o.get(), "200 11:4still here")
	})
	inBubble(t, "EIO-HB-23, EIO-UP-13 the upgrade is no ping", eio3(), func(t *testing.T, k *enginetest.Kit) {
		start := time.Now()
		o := openOld(t, k, "")
		c := k.Dial(websocket3 + "&sid=" + o.sid())
		time.Sleep(5 * time.Second)
		c.Text("2probe")
		c.Text("5")
		wantFrames(t, c, "3probe", "close")
		same(t, "end", o.End().At.Sub(start), interval+timeout)
	})
}

func TestRevision3Heartbeat(t *testing.T) {
	inBubble(t, "EIO-HB-20, EIO-V3-15 polling", eio3(), func(t *testing.T, k *enginetest.Kit) {
		o := openOld(t, k, "")
		for range 3 {
			parked := o.poll()
			synctest.Wait()
			time.Sleep(interval)
			same(t, "post", o.post("1:2"), "200 ok")
			same(t, "parked poll", parked.Wait().String(), "200 1:3")
			same(t, "post", o.post("6:2hello"), "200 ok")
			same(t, "poll", o.get(), "200 1:3")
		}
	})
	inBubble(t, "EIO-HB-20 WebSocket", eio3(), func(t *testing.T, k *enginetest.Kit) {
		c, _ := dialOld(t, k, "")
		for range 3 {
			time.Sleep(interval + timeout - 1)
			c.Text("2")
			wantFrames(t, c, "3")
		}
		c.Text("2probe") // which it is only on a connection that is to take over
		wantFrames(t, c, "3")
		c.Binary("\x02")
		wantFrames(t, c, "3")
	})
	inBubble(t, "EIO-HB-21, EIO-HB-23 only pings count", eio3(), func(t *testing.T, k *enginetest.Kit) {
		c, p := dialOld(t, k, "")
		time.Sleep(10 * time.Second)
		c.Text("2")
		wantFrames(t, c, "3")
		start := time.Now()
		for range 8 {
			time.Sleep(5 * time.Second)
			c.Text("4message")
			p.Send("answer")
			wantFrames(t, c, "4answer")
		}
		wantFrames(t, c, "close")
		end := p.End()
		same(t, "reason", end.Reason, engine.PingTimeout)
		same(t, "after", end.At.Sub(start), interval+timeout)
	})
	inBubble(t, "EIO-HB-21 from open, polling", eio3(), func(t *testing.T, k *enginetest.Kit) {
		o := openOld(t, k, "")
		start := time.Now()
		parked := o.poll().Wait()
		same(t, "parked poll", parked.String(), "200 1:1")
		same(t, "after", parked.At.Sub(start), interval+timeout)
		same(t, "reason", o.End().Reason, engine.PingTimeout)
		same(t, "sessions", k.Remembered(), 0)
	})
	inBubble(t, "EIO-HB-21 a ping that comes too late", eio3(), func(t *testing.T, k *enginetest.Kit) {
		o := openOld(t, k, "")
		time.Sleep(interval + timeout)
		same(t, "post", o.post("1:2"), unknownSession)
		same(t, "reason", o.End().Reason, engine.PingTimeout)
	})
	inBubble(t, "EIO-HB-22 pongs", eio3(), func(t *testing.T, k *enginetest.Kit) {
		c, p := dialOld(t, k, "")
		c.Text("3")
		wantFrames(t, c, "close")
		same(t, "reason", p.End().Reason, engine.TransportError)
		o := openOld(t, k, "")
		same(t, "post", o.post("1:3"), "200 ok")
		same(t, "reason", o.End().Reason, engine.TransportError)
	})
	inBubble(t, "EIO-HB-21 a session on hold is not read, so it is not overdue", eio3(), func(t *testing.T, k *enginetest.Kit) {
		c, p := dialOld(t, k, "")
		p.Session.Hold()
		p.Session.Hold()
		time.Sleep(unread / 2)
		p.Session.Release()
		time.Sleep(unread/2 - 1)
		c.Text("2")
		wantFrames(t, c, "3")
		p.Session.Release()
		start := time.Now()
		wantFrames(t, c, "close")
		same(t, "after", p.End().At.Sub(start), interval+timeout)
		p.Session.Hold() // after the end
		p.Session.Release()
	})
	inBubble(t, "EIO-HB-21 but not for ever", eio3(), func(t *testing.T, k *enginetest.Kit) {
		_, p := dialOld(t, k, "")
		start := time.Now()
		p.Session.Hold()
		end := p.End()
		same(t, "reason", end.Reason, engine.PingTimeout)
		same(t, "after", end.At.Sub(start), unread)
	})
	inBubble(t, "EIO-HB-21 over polling, polls count while a POST waits", eio3(), func(t *testing.T, k *enginetest.Kit) {
		o := openOld(t, k, "")
		o.Session.Hold()
		for range 10 {
			time.Sleep(interval + timeout - 1)
			o.Send("x")
			same(t, "poll", o.get(), "200 2:4x")
		}
		start := time.Now()
		same(t, "after", o.End().At.Sub(start), interval+timeout)
	})
}

func TestRevision3Close(t *testing.T) {
	inBubble(t, "EIO-POST-10 by the client", eio3(), func(t *testing.T, k *enginetest.Kit) {
		o := openOld(t, k, "")
		parked := o.poll()
		synctest.Wait()
		same(t, "post", o.post("1:12:4a"), "200 ok")
		same(t, "parked poll", parked.Wait().String(), "200 1:6")
		same(t, "reason", o.End().Reason, engine.TransportClose)
		same(t, "messages", len(o.Messages()), 0)
		same(t, "next poll", o.get(), unknownSession)
	})
	inBubble(t, "EIO-CL-3, EIO-CL-4, EIO-GET-8 by the server", eio3(), func(t *testing.T, k *enginetest.Kit) {
		o := openOld(t, k, "")
		parked := o.poll()
		synctest.Wait()
		o.Session.Close(nil)
		same(t, "parked poll", parked.Wait().String(), "200 1:1")
		o = openOld(t, k, "")
		o.Session.Close(nil)
		same(t, "next poll", o.get(), "200 1:61:1")
		same(t, "reason", o.End().Reason, engine.ForcedClose)
	})
	inBubble(t, "EIO-GET-5 overlap", eio3(), func(t *testing.T, k *enginetest.Kit) {
		o := openOld(t, k, "")
		parked := o.poll()
		synctest.Wait()
		same(t, "second poll", o.get(), "400")
		same(t, "parked poll", parked.Wait().String(), "200 1:1")
		same(t, "reason", o.End().Reason, engine.TransportError)
	})
}
