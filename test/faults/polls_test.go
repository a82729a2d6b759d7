package faults_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/middleware/idempotency"
	"github.com/sioplug/sioplug/test/network"
)

// The answer to a poll breaks after each number of bytes. What was in it is lost, unless
// sessions are recovered: the next poll never gets it again, and gets what comes later.
func TestPollsAnswerIsCut(t *testing.T) {
	each(t, func(t *testing.T, m mount) {
		s := start(t, m, sio.Options{}, nil)
		for n := 1; n < 260; n += pick(17, 1) {
			name := fmt.Sprint(n)
			sid := openPolling(t, s.addr)
			wantAnswer(t, s.addr, http.MethodPost, sid, `421`+say(name, "first", "")[2:], http.StatusOK, "ok")
			s.proxy.CutAfter(network.Down, int64(n), n%2 == 0)
			c := dial(t, s.proxy.Addr())
			c.send(request(http.MethodGet, sid, ""))
			_, got, err := c.answer()
			if err == nil && got != `431["first"]` {
				t.Errorf("cut after %d bytes: %q", n, got)
			}
			_ = c.Close()
			status, answer := do(t, s.addr, http.MethodPost, sid, `422`+say(name, "second", "")[2:])
			if status == http.StatusOK { // the server wrote all of the answer before the cut
				_, answer = do(t, s.addr, http.MethodGet, sid, "")
				if answer != `432["second"]` {
					t.Errorf("cut after %d bytes: the next poll got %q", n, answer)
				}
				wantAnswer(t, s.addr, http.MethodPost, sid, "1", http.StatusOK, "ok")
			} else if answer != unknownSession {
				t.Errorf("cut after %d bytes: POST was answered %q", n, answer)
			}
		}
		s.settle(lost()...)
	})
}

// A poll that waits is cut off. The server notices at once.
func TestParkedPollIsCut(t *testing.T) {
	each(t, func(t *testing.T, m mount) {
		s := start(t, m, sio.Options{}, nil)
		for i := range 20 {
			sid := openPolling(t, s.addr)
			before, poll := s.proxy.BytesOf(network.Up), request(http.MethodGet, sid, "")
			c := dial(t, s.proxy.Addr())
			c.send(poll)
			wantAnswer(t, s.addr, http.MethodPost, sid, say("a", fmt.Sprint(i), ""), http.StatusOK, "ok")
			s.eventually("the poll is forwarded", func() string {
				if n := s.proxy.BytesOf(network.Up) - before; n < int64(len(poll)) {
					return fmt.Sprint(n, " bytes")
				}
				return ""
			})
			s.proxy.Cut()
			c.drain()
		}
		s.settle(sio.ReasonTransportError)
		if n := s.ended(sio.ReasonTransportError); n != 20 {
			t.Errorf("%d sockets have ended", n)
		}
	})
}

// Two polls at the same time, as of a proxy that repeats one: the second is refused, and the
// session ends, because nobody knows which of the two the client reads.
func TestTwoPollsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, m mount) {
		s := start(t, m, sio.Options{}, nil)
		for range 20 {
			sid := openPolling(t, s.addr)
			a, b := dial(t, s.proxy.Addr()), dial(t, s.proxy.Addr())
			a.send(request(http.MethodGet, sid, ""))
			b.send(request(http.MethodGet, sid, ""))
			statusA, textA, errA := a.answer()
			statusB, textB, errB := b.answer()
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			if statusA > statusB {
				statusA, textA, statusB, textB = statusB, textB, statusA, textA
			}
			if statusA != http.StatusOK || textA != "1" || statusB != http.StatusBadRequest || textB != "" {
				t.Errorf("answered %d %q and %d %q", statusA, textA, statusB, textB)
			}
			wantAnswer(t, s.addr, http.MethodGet, sid, "", http.StatusBadRequest, unknownSession)
			_, _ = a.Close(), b.Close()
		}
		s.settle(sio.ReasonTransportError)
	})
}

// A proxy sends a POST again whose answer was lost. The server has the events twice, in
// order. Package idempotency makes that once.
func TestPostIsRepeated(t *testing.T) {
	each(t, func(t *testing.T, m mount) {
		s := start(t, m, sio.Options{}, func(s *site) {
			once := idempotency.New(nil)
			s.srv.On("pay", idempotency.Bind(once, func(_ *sio.Ctx, name string) error {
				s.note(name, "paid")
				return nil
			}))
		})
		for i := range 10 {
			name := fmt.Sprint("client ", i)
			sid := openPolling(t, s.addr)
			body := say(name, "a", "") + "\x1e" + say(name, "b", "") + "\x1e" +
				fmt.Sprintf(`42["pay",%q,{"idempotencyKey":%q}]`, name, name)
			s.proxy.CutAfter(network.Down, 1, i%2 == 0)
			c := dial(t, s.proxy.Addr())
			c.send(request(http.MethodPost, sid, body))
			c.drain()
			_ = c.Close()
			wantAnswer(t, s.addr, http.MethodPost, sid, body, http.StatusOK, "ok")
			s.eventually("the events", func() string {
				got := s.said(name)
				return missing(got, "a", "b", "paid", "a", "b")
			})
			wantAnswer(t, s.addr, http.MethodPost, sid, "1", http.StatusOK, "ok")
		}
		s.settle(sio.ReasonTransportClose)
	})
}

// A POST comes after the server has closed the session: its events are not handled.
func TestPostAfterTheClose(t *testing.T) {
	each(t, func(t *testing.T, m mount) {
		s := start(t, m, sio.Options{}, func(s *site) {
			s.srv.On("close me", func(c *sio.Ctx) error { return c.Close() })
		})
		for i := range 10 {
			sid := openPolling(t, s.addr)
			poll := dial(t, s.proxy.Addr())
			poll.send(request(http.MethodGet, sid, ""))
			wantAnswer(t, s.addr, http.MethodPost, sid, `42["close me"]`, http.StatusOK, "ok")
			s.eventually("the socket has ended", func() string {
				if n := s.ended(sio.ReasonServerNamespaceDisconnect); n != i+1 {
					return fmt.Sprint(n, " have ended")
				}
				return ""
			})
			status, _ := do(t, s.addr, http.MethodPost, sid, say("late", fmt.Sprint(i), ""))
			if status != http.StatusOK && status != http.StatusBadRequest { // the client may not know yet
				t.Errorf("the late POST was answered %d", status)
			}
			if _, got, err := poll.answer(); err != nil || got != "41" && got != "41\x1e1" {
				t.Errorf("the poll was answered %q, %v", got, err)
			}
			_ = poll.Close()
			_, _ = do(t, s.addr, http.MethodGet, sid, "") // takes the close packet, if there is one
			wantAnswer(t, s.addr, http.MethodPost, sid, say("late", fmt.Sprint(i), ""), http.StatusBadRequest, unknownSession)
		}
		s.settle(sio.ReasonServerNamespaceDisconnect)
		if got := s.said("late"); len(got) > 0 {
			t.Errorf("handled after the close: %q", got)
		}
	})
}

// Each piece of data is late. Nothing is lost, doubled or overtaken in either direction.
func TestPollsAreDelayed(t *testing.T) {
	each(t, func(t *testing.T, m mount) {
		s := start(t, m, sio.Options{}, nil)
		s.proxy.Delay(3 * time.Millisecond)
		c := s.client(sioclient.Options{Transports: []string{sioclient.Polling}})
		if err := c.Connect(within(t)); err != nil {
			t.Fatal(err)
		}
		const events = 50
		var answers []*sioclient.Answer[string]
		for i := range events {
			a, err := sioclient.Ask[string](c, "say", "slow", fmt.Sprint(i))
			if err != nil {
				t.Fatal(err)
			}
			answers = append(answers, a)
		}
		for i, a := range answers {
			if got, err := a.Wait(within(t)); err != nil || got != fmt.Sprint(i) {
				t.Fatalf("ack %d: %q, %v", i, got, err)
			}
		}
		s.eventually("all events, in order", func() string { return missing(s.said("slow"), numbers(events)...) })
		leave(t, c)
		s.settle(sio.ReasonClientNamespaceDisconnect)
	})
}

func numbers(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint(i)
	}
	return list
}

// Clients abort large POSTs. The server keeps nothing of them.
func TestLargePostsAreAborted(t *testing.T) {
	each(t, func(t *testing.T, m mount) {
		s := start(t, m, sio.Options{}, nil)
		before := heap()
		body := say("large", "a", `,"`+strings.Repeat("x", 900_000)+`"`)
		for range pick(30, 300) {
			sid := openPolling(t, s.addr)
			s.proxy.CutAfter(network.Up, 500_000, false)
			c := dial(t, s.proxy.Addr())
			_, _ = c.Write(request(http.MethodPost, sid, body))
			c.drain()
			_ = c.Close()
			_, _ = do(t, s.addr, http.MethodPost, sid, "1") // where the session goes on
		}
		s.settle(lost()...)
		if got := s.said("large"); len(got) > 0 {
			t.Errorf("handled %d times", len(got))
		}
		if after := heap(); after > before+4<<20 {
			t.Errorf("heap of %d bytes, then %d", before, after)
		}
	})
}

// heap returns the bytes that are in use.
func heap() uint64 {
	for range 2 { // the second one frees what is in pools
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
