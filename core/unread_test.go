package sio_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// A rawClient writes requests by hand, and reads what it likes.
type rawClient struct {
	net.Conn

	r *bufio.Reader
}

func dialRaw(t *testing.T, d siotest.Dialer) *rawClient {
	t.Helper()
	nc, err := d.Dial(context.Background(), "tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return &rawClient{nc, bufio.NewReader(nc)}
}

// request sends one and does not wait for the answer.
func (c *rawClient) request(t *testing.T, method, target, body string) {
	t.Helper()
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: pipe.test\r\nContent-Length: %d\r\n\r\n", method, target, len(body))
	if _, err := io.WriteString(c, head+body); err != nil {
		t.Errorf("%s %s: %v", method, target, err)
	}
}

// answer reads an answer, and returns its body.
func (c *rawClient) answer(t *testing.T) string {
	t.Helper()
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	must(t, err)
	return string(body)
}

// cut reports whether the server has closed the connection before the client has
// read all of an answer.
func (c *rawClient) cut() bool {
	_ = c.SetReadDeadline(time.Now().Add(time.Hour))
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return !errors.Is(err, context.DeadlineExceeded)
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err != nil
}

const (
	endpoint  = "/socket.io/?EIO=4&transport=polling"
	beat      = time.Second
	readLimit = beat + beat + 30*time.Second // what an answer may take
)

// openRaw opens a polling session, with an answer to be polled for.
func openRaw(t *testing.T, d siotest.Dialer) (target string) {
	t.Helper()
	c := dialRaw(t, d)
	c.request(t, http.MethodGet, endpoint, "")
	_, sid, _ := strings.Cut(c.answer(t), `"sid":"`)
	sid, _, _ = strings.Cut(sid, `"`)
	target = endpoint + "&sid=" + sid
	c.request(t, http.MethodPost, target, strings.TrimSuffix(strings.Repeat("40/x,\x1e", 2000), "\x1e"))
	if got := c.answer(t); got != "ok" {
		t.Fatalf("POST: %s", got)
	}
	_ = c.Close()
	return target
}

// Nobody can have an answer wait for ever by not reading it, whatever it answers.
func TestAnswersThatNobodyReadsAreGivenUp(t *testing.T) {
	opts := func() *sio.Options {
		return &sio.Options{PingInterval: beat, PingTimeout: beat, ClientFS: clientFiles()}
	}
	for name, ask := range map[string]func(t *testing.T, c *rawClient, d siotest.Dialer){
		"handshake": func(t *testing.T, c *rawClient, _ siotest.Dialer) { t.Helper(); c.request(t, "GET", endpoint, "") },
		"poll":      func(t *testing.T, c *rawClient, d siotest.Dialer) { t.Helper(); c.request(t, "GET", openRaw(t, d), "") },
		"POST": func(t *testing.T, c *rawClient, d siotest.Dialer) {
			t.Helper()
			c.request(t, "POST", openRaw(t, d), "40")
		},
		"refusal": func(t *testing.T, c *rawClient, _ siotest.Dialer) { t.Helper(); c.request(t, "PUT", endpoint, "") },
		"file": func(t *testing.T, c *rawClient, _ siotest.Dialer) {
			t.Helper()
			c.request(t, "GET", "/socket.io/socket.io.js", "")
		},
	} {
		for _, read := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", read in time ", read), func(t *testing.T) {
				bubble(t, opts(), func(t *testing.T, _ *sio.Server, d siotest.Dialer) {
					c := dialRaw(t, d)
					ask(t, c, d)
					time.Sleep(readLimit - time.Millisecond)
					synctest.Wait()
					if read {
						c.answer(t)
						time.Sleep(10 * readLimit) // nothing of it is left for the next one
						c.request(t, "GET", endpoint, "")
						c.answer(t)
						return
					}
					time.Sleep(2 * time.Millisecond)
					synctest.Wait()
					if !c.cut() {
						t.Error("the answer still waits for its client")
					}
				})
			})
		}
	}
}

// The end of a session begins the time in which its client has to take what it is
// sent: the reference's closeTimeout.
func TestAnswersDoNotOutliveTheirSessionForLong(t *testing.T) {
	for end, ends := range map[string]func(srv *sio.Server, s *sio.Socket){
		"close":    func(_ *sio.Server, s *sio.Socket) { _ = s.Close() },
		"shutdown": func(srv *sio.Server, _ *sio.Socket) { _ = srv.Shutdown(context.Background()) },
	} {
		t.Run(end, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				got := make(chan *sio.Socket, 1)
				srv.OnConnect(func(c *sio.Ctx) error { got <- c.Socket; return nil })
				target := openRaw(t, d)
				post := dialRaw(t, d)
				post.request(t, "POST", target, "40")
				post.answer(t)
				c := dialRaw(t, d)
				c.request(t, "GET", target, "")
				time.Sleep(10 * time.Second)
				ends(srv, <-got)
				time.Sleep(30*time.Second + time.Millisecond)
				synctest.Wait()
				if !c.cut() {
					t.Error("the answer still waits for its client")
				}
			})
		})
	}
}

// What waits in answers is what waits for the client.
func TestUnreadAnswersCount(t *testing.T) {
	bubble(t, &sio.Options{MaxSendBuffer: 100_000}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		got := make(chan *sio.Socket, 1)
		srv.OnConnect(func(c *sio.Ctx) error { got <- c.Socket; return nil })
		c := d.Polling(t)
		c.Connect("/", "")
		s := <-got
		target := endpoint + "&sid=" + c.SID()
		text := strings.Repeat("x", 30_000)
		var unread []*rawClient
		for i := range 10 {
			err := s.Emit("news", text)
			if err != nil {
				if !errors.Is(err, sio.ErrSlowClient) || i < 2 {
					t.Errorf("message %d: %v", i, err)
				}
				return
			}
			if n := s.Buffered(); n < (i+1)*len(text) {
				t.Fatalf("%d bytes wait after %d messages", n, i+1)
			}
			if i == 1 { // one is read after all
				unread[0].answer(t)
				synctest.Wait()
				if n := s.Buffered(); n > 2*len(text) {
					t.Errorf("%d bytes wait after an answer was read", n)
				}
				must(t, s.Emit("news", text))
			}
			r := dialRaw(t, d)
			r.request(t, http.MethodGet, target, "")
			synctest.Wait()
			unread = append(unread, r)
		}
		t.Error("ten answers wait for a client that reads none")
	})
}

// A limit that the server has itself is not raised, nor does it raise ours.
func TestTheEarlierLimitCounts(t *testing.T) {
	for name, tt := range map[string]struct{ own, want time.Duration }{
		"WriteTimeout": {time.Second, time.Second},
		"ours":         {time.Hour, readLimit},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, &sio.Options{PingInterval: beat, PingTimeout: beat})
				defer shutdown(t, srv)
				d := siotest.ServePipes(t, &http.Server{Handler: srv, WriteTimeout: tt.own, ReadHeaderTimeout: time.Minute})
				c := dialRaw(t, d)
				c.request(t, "GET", openRaw(t, d), "")
				time.Sleep(tt.want + time.Millisecond)
				synctest.Wait()
				if !c.cut() {
					t.Error("the answer still waits for its client")
				}
			})
		})
	}
}
