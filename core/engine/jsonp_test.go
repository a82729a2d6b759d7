package engine_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// A scripted is a client that polls by loading scripts.
type scripted struct {
	*enginetest.Peer

	k     *enginetest.Kit
	query string
}

// openScripted opens a session by a query with j in it, whose answer has to call
// function number index.
func openScripted(t *testing.T, k *enginetest.Kit, query, index string) *scripted {
	t.Helper()
	a := k.Do(enginetest.Request{Query: query, Header: ownPage()})
	same(t, "EIO-JP-1 better: content type", a.Header.Get("Content-Type"), "text/javascript; charset=UTF-8")
	same(t, "sniffing", a.Header.Get("X-Content-Type-Options"), "nosniff")
	_, sid, ok := strings.Cut(a.Body, `0{\"sid\":\"`)
	sid, _, found := strings.Cut(sid, `\"`)
	if !ok || !found || !strings.HasPrefix(a.Body, "___eio["+index+`]("`) || !strings.HasSuffix(a.Body, `}");`) {
		t.Fatalf("handshake: %d %s", a.Status, a.Body)
	}
	return &scripted{k.Peer(sid), k, query + "&sid=" + sid}
}

func (s *scripted) poll() *enginetest.Call {
	return s.k.Start(enginetest.Request{Query: s.query, Header: ownPage()})
}

func (s *scripted) get() string { return s.poll().Wait().String() }

// ownPage is the header of a request of a page of the server's own origin.
func ownPage() http.Header { return http.Header{"Referer": {"http://server.test/chat?room=1"}} }

func jsonpOptions() engine.Options { return engine.Options{AllowJSONP: true, AllowEIO3: true} }

func (s *scripted) post(body string) enginetest.Answer {
	return s.k.Do(enginetest.Request{
		Method: http.MethodPost, Query: s.query, Body: strings.NewReader(body),
		Header: http.Header{
			"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {"http://server.test"}, "Referer": ownPage()["Referer"],
		},
	})
}

// send posts a payload as the official client does.
func (s *scripted) send(payload string) string {
	payload = strings.ReplaceAll(payload, `\n`, "\\\n")
	payload = strings.ReplaceAll(payload, "\n", `\n`)
	return s.post(url.Values{"d": {payload}}.Encode()).String()
}

func TestJSONPAnswers(t *testing.T) {
	for j, index := range map[string]string{"0": "0", "12": "12", "12abc": "12", "a1b2": "12", "": "", "alert(1)": "1", "x": ""} {
		inBubble(t, "EIO-JP-1 j="+j, jsonpOptions(), func(t *testing.T, k *enginetest.Kit) {
			s := openScripted(t, k, polling+"&j="+url.QueryEscape(j), index)
			s.Send("hello")
			same(t, "poll", s.get(), `200 ___eio[`+index+`]("4hello");`)
		})
	}
	inBubble(t, "EIO-JP-1 revision 3", jsonpOptions(), func(t *testing.T, k *enginetest.Kit) {
		s := openScripted(t, k, polling3+"&j=7", "7")
		s.Send(`a"\€😀`)
		same(t, "poll", s.get(), `200 ___eio[7]("7:4a\"\\€😀");`)
	})
	inBubble(t, "EIO-JP-2 what ends a line in scripts", jsonpOptions(), func(t *testing.T, k *enginetest.Kit) {
		s := openScripted(t, k, polling+"&j=0", "0")
		s.Send("\u2028\u2029\n\r\t\x00\x7f")
		s.Send("</script>")
		same(t, "poll", s.get(), `200 ___eio[0]("4\u2028\u2029\n\r\t\u0000`+"\x7f"+`\u001e4\u003c/script\u003e");`)
	})
	inBubble(t, "EIO-JP-5 better: base64 only", jsonpOptions(), func(t *testing.T, k *enginetest.Kit) {
		for query, want := range map[string]string{polling: `bAQID`, polling3: `6:b4AQID`} {
			s := openScripted(t, k, query+"&j=0", "0")
			s.SendBinary("\x01\x02\x03")
			a := s.poll().Wait()
			same(t, "poll", a.String(), `200 ___eio[0]("`+want+`");`)
			same(t, "content type", a.Header.Get("Content-Type"), "text/javascript; charset=UTF-8")
		}
	})
	inBubble(t, "EIO-JP-1 close and noop", jsonpOptions(), func(t *testing.T, k *enginetest.Kit) {
		s := openScripted(t, k, polling3+"&j=0", "0")
		parked := s.poll()
		synctest.Wait()
		same(t, "post", s.send("1:1"), "200 ok")
		same(t, "parked poll", parked.Wait().String(), `200 ___eio[0]("1:6");`)
		s = openScripted(t, k, polling+"&j=0", "0")
		s.Session.Close(nil)
		same(t, "next poll", s.get(), `200 ___eio[0]("6\u001e1");`)
	})
	inBubble(t, "EIO-JP-1 refusals are as usual", engine.Options{AllowJSONP: true}, func(t *testing.T, k *enginetest.Kit) {
		same(t, "revision 3", k.Do(enginetest.Request{Query: polling3 + "&j=0", Header: ownPage()}).String(), badVersion)
		same(t, "no session", k.Do(enginetest.Request{Query: polling + "&j=0&sid=x"}).String(), unknownSession)
	})
	inBubble(t, "j is for polling", jsonpOptions(), func(t *testing.T, k *enginetest.Kit) {
		c := k.Dial(websocket + "&j=0")
		p := k.Peer(sidOf(t, c.Next()))
		p.SendBinary("\x01")
		wantFrames(t, c, "<01>")
	})
	inBubble(t, "EIO-JP-5 text also after an upgrade", jsonpOptions(), func(t *testing.T, k *enginetest.Kit) {
		s := openScripted(t, k, polling3+"&j=0", "0")
		c := k.Dial(websocket3 + "&sid=" + s.Session.ID())
		c.Text("5")
		s.SendBinary("\x01")
		wantFrames(t, c, "b4AQ==")
	})
}

func TestJSONPPosts(t *testing.T) {
	inBubble(t, "EIO-JP-3, EIO-JP-6", jsonpOptions(), func(t *testing.T, k *enginetest.Kit) {
		s := openScripted(t, k, polling+"&j=0", "0")
		a := s.post("d=" + url.QueryEscape("4one\x1ebAQID"))
		same(t, "answer", a.String(), "200 ok")
		same(t, "EIO-JP-6 content type", a.Header.Get("Content-Type"), "text/html")
		same(t, "messages", strings.Join(s.Messages(), "|"), "one|<010203>")
	})
	inBubble(t, "EIO-JP-3 revision 3", jsonpOptions(), func(t *testing.T, k *enginetest.Kit) {
		s := openScripted(t, k, polling3+"&j=0", "0")
		same(t, "answer", s.send("4:4é+😀6:b4AQID"), "400") // six code units, not four
		s = openScripted(t, k, polling3+"&j=0", "0")
		same(t, "answer", s.send("5:4é+😀6:b4AQID"), "200 ok")
		same(t, "messages", strings.Join(s.Messages(), "|"), "é+😀|<010203>")
	})
	inBubble(t, "EIO-JP-3 newlines as the official client hides them", jsonpOptions(), func(t *testing.T, k *enginetest.Kit) {
		s := openScripted(t, k, polling+"&j=0", "0")
		for _, text := range []string{"a\nb", `a\nb`, "\n", `\n`, "\n\n", `\n\n`, "\\\n", `\t\\`, `\`, `n`, "\\n\n\\n"} {
			same(t, "post", s.send("4"+text), "200 ok")
			all := s.Messages()
			want := text
			if text == "\\\n" { // which the client writes like \n
				want = `\n`
			}
			same(t, "message", all[len(all)-1], want)
		}
	})
	inBubble(t, "EIO-JP-3 backslashes", jsonpOptions(), func(t *testing.T, k *enginetest.Kit) {
		s := openScripted(t, k, polling+"&j=0", "0")
		for d, want := range map[string]string{
			`\n`: "\n", `\\n`: `\n`, `\\\n`: `\\n`, `\\\\n`: `\\\n`, `\n\n`: "\n\n", `\\n\n`: "\\n\n", `\n\\n`: "\n\\n", `\\`: `\\`,
		} {
			same(t, "post", s.post(url.Values{"d": {"4" + d}}.Encode()).String(), "200 ok")
			all := s.Messages()
			same(t, d, all[len(all)-1], want)
		}
	})
	for name, body := range map[string]string{
		"nothing": "", "another field": "e=4a", "a payload": "4a",
	} {
		inBubble(t, "EIO-JP-4 "+name, jsonpOptions(), func(t *testing.T, k *enginetest.Kit) {
			s := openScripted(t, k, polling+"&j=0", "0")
			same(t, "post", s.post(body).String(), "200 ok")
			same(t, "messages", len(s.Messages()), 0)
			same(t, "open", s.Open(), true)
		})
	}
	for name, body := range map[string]string{
		"an empty payload": "d=", "no packet": "d=abc", "no escape": "d=%zz",
	} {
		inBubble(t, "EIO-POST-7 "+name, jsonpOptions(), func(t *testing.T, k *enginetest.Kit) {
			s := openScripted(t, k, polling+"&j=0", "0")
			same(t, "post", s.post(body).String(), "400")
			same(t, "reason", s.End().Reason, engine.ParseError)
		})
	}
	inBubble(t, "EIO-POST-3 octets", jsonpOptions(), func(t *testing.T, k *enginetest.Kit) {
		s := openScripted(t, k, polling+"&j=0", "0")
		a := k.Do(enginetest.Request{
			Method: http.MethodPost, Query: s.query, Body: strings.NewReader("d=4a"),
			Header: http.Header{"Content-Type": {octets}, "Origin": {"http://server.test"}},
		})
		same(t, "post", a.String(), "400")
		same(t, "reason", s.End().Reason, engine.TransportError)
	})
}
