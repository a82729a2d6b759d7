package faults_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/test/network"
)

// lost are the reasons of a connection that broke: when it was read, or when it was written.
func lost() []sio.Reason { return []sio.Reason{sio.ReasonTransportClose, sio.ReasonTransportError} }

// A script is what a client sends, and the events that the server has when a number of
// bytes have come.
type script struct {
	bytes []byte
	marks []int // the numbers of bytes
	names []string
	edges []int // where something begins or ends
}

func (s *script) add(p ...[]byte) {
	for _, p := range p {
		s.edges = append(s.edges, len(s.bytes))
		s.bytes = append(s.bytes, p...)
	}
}

// event notes that an event is complete.
func (s *script) event(name string) {
	s.marks, s.names = append(s.marks, len(s.bytes)), append(s.names, name)
}

// events returns those that n bytes make up.
func (s *script) events(n int) []string {
	var list []string
	for i, at := range s.marks {
		if at <= n {
			list = append(list, s.names[i])
		}
	}
	return list
}

// cuts returns where to cut: everywhere, or for short runs around the edges, in headers of
// frames, and at some other places.
func (s *script) cuts() []int {
	const dense, around = 1200, 14 // bytes that a header of a frame may have
	var list []int
	for n := 1; n <= len(s.bytes); n++ {
		near := slices.ContainsFunc(s.edges, func(e int) bool { return n >= e-1 && n <= e+around })
		switch {
		case long() && (n <= dense || near), near && n%4 == 0, n%97 == 0 && n <= dense, n%19_973 == 0, n == len(s.bytes):
			list = append(list, n)
		}
	}
	return list
}

// say is an event of a client, in JSON.
func say(client, name, more string) string {
	return fmt.Sprintf(`42["say","%s","%s"%s]`, client, name, more)
}

// conversation is all that a client can send over WebSocket.
func conversation(client string) *script {
	var s script
	s.add(webSocketRequest(""), text("40"), text(say(client, "short", "")))
	s.event("short")
	e := say(client, "fragmented", "")
	s.add(frame(opText, false, e[:9]), frame(opPing, true, "in between"), frame(opContinuation, false, e[9:10]))
	s.add(frame(opContinuation, true, e[10:]))
	s.event("fragmented")
	s.add(text(`452-["say","`+client+`","binary",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`),
		frame(opBinary, true, strings.Repeat("a", 200)), frame(opBinary, false, "b"), frame(opContinuation, true, "c"))
	s.event("binary")
	s.add(text(say(client, "medium", `,"`+strings.Repeat("m", 300)+`"`)))
	s.event("medium")
	s.add(text(say(client, "large", `,"`+strings.Repeat("l", 70_000)+`"`)))
	s.event("large")
	s.add(text(say(client, "last", "")))
	s.event("last")
	return &s
}

// talk has the client say all of it, as soon as it is connected, until the connection ends.
func talk(c *raw, s *script) {
	connect := s.edges[2]
	_, _ = c.Write(s.bytes[:connect])
	if c.connected() {
		var writing sync.WaitGroup
		writing.Go(func() { _, _ = c.Write(s.bytes[connect:]) })
		c.drain()
		writing.Wait()
	}
}

// inParallel calls f for each number, for several at the same time.
func inParallel(list []int, f func(n int)) {
	const workers = 4
	var all sync.WaitGroup
	next := make(chan int)
	for range workers {
		all.Go(func() {
			for n := range next {
				f(n)
			}
		})
	}
	for _, n := range list {
		next <- n
	}
	close(next)
	all.Wait()
}

// A client's connection breaks after each number of bytes: in the handshake, in the header
// of a frame, in its length, in the payload, in a fragmented message, between the
// attachments of an event. The server has each event that came in full, once and in order,
// and no part of another.
func TestWebSocketIsCutInMidFrame(t *testing.T) {
	for how, reset := range map[string]bool{"end": false, "reset": true} {
		t.Run(how, func(t *testing.T) {
			each(t, func(t *testing.T, m mount) {
				s := start(t, m, sio.Options{}, nil)
				name := func(n int) string { return fmt.Sprintf("c%06d", n) }
				cuts := conversation(name(0)).cuts()
				var one sync.Mutex // a cut is for the next connection
				inParallel(cuts, func(n int) {
					one.Lock()
					s.proxy.CutAfter(network.Up, int64(n), reset)
					c := dial(t, s.proxy.Addr())
					s.eventually("the proxy has the connection", func() string {
						if s.proxy.Armed() {
							return "not yet"
						}
						return ""
					})
					one.Unlock()
					defer func() { _ = c.Close() }()
					talk(c, conversation(name(n)))
				})
				for _, n := range cuts {
					want := conversation(name(n)).events(n)
					if reset { // the last bytes may be lost with it
						got := s.said(name(n))
						if len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
							t.Errorf("cut after %d bytes: %q, want %q or less", n, got, want)
						}
						continue
					}
					s.eventually(fmt.Sprint("cut after ", n, " bytes"), func() string {
						if got := s.said(name(n)); !slices.Equal(got, want) {
							return fmt.Sprintf("%q, want %q", got, want)
						}
						return ""
					})
				}
				s.settle(lost()...)
				for _, n := range cuts { // nothing came later
					if got, want := s.said(name(n)), conversation(name(n)).events(n); len(got) > len(want) {
						t.Errorf("cut after %d bytes: %q, want %q", n, got, want)
					}
				}
			})
		})
	}
}

// The connection breaks after each number of bytes of what the server sends: in the answer
// to the handshake, in frames, in a group of attachments, in a message that fills the
// network. What the client sent has been handled, and the server notices the end.
func TestServersFramesAreCut(t *testing.T) {
	const size = 300_000
	each(t, func(t *testing.T, m mount) {
		s := start(t, m, sio.Options{}, func(s *site) {
			s.srv.On("show", func(c *sio.Ctx) error {
				var name string
				if err := c.Bind(&name); err != nil {
					return err
				}
				s.note(name, "show")
				return c.Emit("picture", []byte("small"), make([]byte, 200), make([]byte, size))
			})
		})
		var cuts []int
		for n := 1; n < 700; n += pick(23, 1) {
			cuts = append(cuts, n)
		}
		cuts = append(cuts, 1_000, 65_000, 66_000, 200_000, size)
		for _, n := range cuts {
			s.proxy.CutAfter(network.Down, int64(n), n%2 == 0)
			c := dial(t, s.proxy.Addr())
			_, _ = c.Write(slices.Concat(webSocketRequest(""), text("40")))
			if c.connected() {
				_, _ = c.Write(text(fmt.Sprintf(`42["show","%d"]`, n)))
				c.drain()
			}
			_ = c.Close()
		}
		s.settle(lost()...)
		for _, n := range cuts {
			if got := s.said(fmt.Sprint(n)); len(got) > 1 || len(got) == 0 && n > 500 {
				t.Errorf("cut after %d bytes: handled %d times", n, len(got))
			}
		}
	})
}

// A POST breaks after each number of bytes. One that did not come in full has no effect on
// what the server has received. net/http calls handlers before the body is there: then the
// session ends, as with the JavaScript server. fasthttp waits for the body, so the session
// goes on, and so it does if the cut was in the header.
func TestPostIsCut(t *testing.T) {
	each(t, func(t *testing.T, m mount) {
		s := start(t, m, sio.Options{}, nil)
		probe := request(http.MethodPost, strings.Repeat("s", 20), say("000", "a", "")+"\x1e"+say("000", "b", ""))
		header := strings.Index(string(probe), "\r\n\r\n") + 4
		for n := 1; n <= len(probe); n++ {
			if !long() && n%7 != 0 && (n < header-2 || n%5 != 0) && n < len(probe)-2 {
				continue
			}
			name := fmt.Sprintf("%03d", n)
			sid := openPolling(t, s.addr)
			s.proxy.CutAfter(network.Up, int64(n), n%2 == 0)
			c := dial(t, s.proxy.Addr())
			go func() { // ends with the connection
				_, _ = c.Write(request(http.MethodPost, sid, say(name, "a", "")+"\x1e"+say(name, "b", "")))
			}()
			c.drain()
			_ = c.Close()
			switch goesOn := n < header || m.name == "fiber"; {
			case n == len(probe): // whether the answer could be sent is not known
				s.eventually("the whole POST is handled", func() string { return missing(s.said(name), "a", "b") })
			case goesOn:
				wantAnswer(t, s.addr, http.MethodPost, sid, say(name, "c", ""), http.StatusOK, "ok")
				s.eventually("the next POST is handled", func() string { return missing(s.said(name), "c") })
			default:
				s.eventually("the session has ended", func() string {
					if n := s.srv.ClientsCount(); n != s.clients {
						return fmt.Sprintf("%d clients", n)
					}
					return ""
				})
				wantAnswer(t, s.addr, http.MethodPost, sid, say(name, "late", ""), http.StatusBadRequest, unknownSession)
				if got := s.said(name); len(got) > 0 {
					t.Errorf("cut after %d bytes: %q", n, got)
				}
			}
			if status, _ := do(t, s.addr, http.MethodPost, sid, "1"); status != http.StatusOK && status != http.StatusBadRequest {
				t.Errorf("closing: status %d", status)
			}
		}
		s.settle(append(lost(), sio.ReasonClientNamespaceDisconnect)...)
	})
}

// missing returns a text if the events are not these.
func missing(got []string, want ...string) string {
	if !slices.Equal(got, want) {
		return fmt.Sprintf("%q, want %q", got, want)
	}
	return ""
}
