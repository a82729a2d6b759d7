package sio_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// A handler sends a client that reads everything many times what may wait for it.
func TestAHandlerMaySendMoreThanTheSendBuffer(t *testing.T) {
	const limit, size, events = 20_000, 1000, 300
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, &sio.Options{MaxSendBuffer: limit}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				text := strings.Repeat("x", size)
				srv.On("file", func(c *sio.Ctx) error {
					for i := range events {
						if err := c.Emit("chunk", i, text); err != nil {
							return err
						}
						if c.Buffered() > limit/2 {
							if err := c.Flush(context.Background()); err != nil {
								return err
							}
						}
					}
					return c.Ack()
				})
				c := open(t, d)
				c.Connect("/", "")
				c.Send(`421["file"]`)
				for i := range events {
					c.Want(fmt.Sprintf(`42["chunk",%d,"%s"]`, i, text))
				}
				c.Want("431[]")
			})
		})
	}
}

func TestFlushWaitsForAllThatWasEmittedBefore(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				got := make(chan *sio.Socket, 1)
				srv.OnConnect(func(c *sio.Ctx) error { got <- c.Socket; return nil })
				c := open(t, d)
				c.Connect("/", "")
				s := <-got
				synctest.Wait()
				must(t, s.Flush(t.Context())) // nothing waits

				large := strings.Repeat("x", 100_000)
				must(t, s.Emit("a", large))
				must(t, s.Emit("b", large))
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := s.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, sio.ErrDisconnected) {
					t.Errorf("the client has not read: %v", err)
				}
				flushed := make(chan error, 3)
				for range cap(flushed) {
					go func() { flushed <- s.Flush(context.Background()) }()
				}
				synctest.Wait()
				select {
				case err := <-flushed:
					t.Errorf("the client has not read, and Flush returns %v", err)
				default:
				}
				c.Next()
				c.Next()
				for range cap(flushed) {
					must(t, <-flushed)
				}
			})
		})
	}
}

// A client that is sent something all the time never has an empty queue.
func TestFlushDoesNotWaitForWhatIsEmittedLater(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		got := make(chan *sio.Socket, 1)
		srv.OnConnect(func(c *sio.Ctx) error { got <- c.Socket; return nil })
		c := d.Polling(t)
		c.Connect("/", "")
		s := <-got
		synctest.Wait()
		must(t, s.Emit("first"))
		synctest.Wait()
		must(t, s.Emit("second"))
		flushed := make(chan error, 1)
		go func() { flushed <- s.Flush(t.Context()) }()
		synctest.Wait()
		c.Want(`42["first"]`)
		must(t, s.Emit("third"))
		c.Want(`42["second"]`)
		must(t, s.Emit("fourth"))
		c.Want(`42["third"]`)
		must(t, <-flushed)
	})
}

func TestFlushEndsWithTheConnection(t *testing.T) {
	for name, open := range transports() {
		for how, end := range map[string]func(s *sio.Socket, c *siotest.Client){
			"closed":           func(s *sio.Socket, _ *siotest.Client) { _ = s.Close() },
			"broken":           func(_ *sio.Socket, c *siotest.Client) { c.Abort() },
			"never read again": func(*sio.Socket, *siotest.Client) {},
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
					got := make(chan *sio.Socket, 1)
					srv.OnConnect(func(c *sio.Ctx) error { got <- c.Socket; return nil })
					c := open(t, d)
					c.Connect("/", "")
					s := <-got
					large := strings.Repeat("x", 100_000)
					must(t, s.Emit("a", large))
					must(t, s.Emit("b", large))
					flushed := make(chan error, 2)
					for _, ctx := range []context.Context{context.Background(), s.Context()} {
						go func() { flushed <- s.Flush(ctx) }()
					}
					synctest.Wait()
					end(s, c)
					for range cap(flushed) {
						if err := <-flushed; !errors.Is(err, sio.ErrDisconnected) {
							t.Errorf("the connection has ended: %v", err)
						}
					}
					if err := s.Flush(t.Context()); !errors.Is(err, sio.ErrDisconnected) {
						t.Errorf("afterwards: %v", err)
					}
				})
			})
		}
	}
}

func TestFlushBeforeTheClientIsAccepted(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
			if err := c.Flush(c.Context()); !errors.Is(err, sio.ErrNotConnected) {
				t.Errorf("error %v", err)
			}
			return nil
		}))
		d.WebSocket(t).Connect("/", "")
	})
}

// The handler that waits runs on the goroutine that reads the connection.
func TestWhileAHandlerFlushesItsClientIsHeard(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, &sio.Options{MaxPendingEvents: 4}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				answers := make(chan sio.Answer[int], 1)
				started, pinged, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
				srv.On("download", func(c *sio.Ctx) error {
					a, err := sio.Ask[int](c.Socket, "question", 1)
					must(t, err)
					answers <- a
					must(t, c.Flush(c.Context()))
					large := strings.Repeat("x", 100_000)
					must(t, c.Emit("a", large))
					must(t, c.Emit("b", large))
					close(started)
					ended <- c.Flush(c.Context())
					return nil
				})
				srv.Of("/other").On("ping", func(*sio.Ctx) error { close(pinged); return nil })
				c := open(t, d)
				c.Connect("/", "")
				c.Connect("/other", "")
				c.Send(`42["download"]`)
				id := asked(t, c, theQuestion)
				<-started
				c.Send("43"+id+"[7]", `42/other,["ping"]`)
				if v, err := (<-answers).Wait(t.Context()); v != 7 || err != nil {
					t.Errorf("answer %d, %v", v, err)
				}
				<-pinged
				c.Next()
				c.Next()
				must(t, <-ended)
			})
		})
	}
}

// One event may be larger than the send buffer.
func TestAnEventMayBeLargerThanTheSendBuffer(t *testing.T) {
	const limit = 10_000
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, &sio.Options{MaxSendBuffer: limit}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				got := make(chan *sio.Socket, 1)
				srv.OnConnect(func(c *sio.Ctx) error { got <- c.Socket; return nil })
				c := open(t, d)
				c.Connect("/", "")
				s := <-got
				large := strings.Repeat("x", 10*limit)
				for range 3 {
					must(t, s.Emit("large", large))
					flushed := make(chan error, 1)
					go func() { flushed <- s.Flush(t.Context()) }()
					c.Want(`42["large","` + large + `"]`)
					must(t, <-flushed)
				}
				must(t, s.Emit("large", large))
				if err := s.Emit("small"); !errors.Is(err, sio.ErrSlowClient) {
					t.Errorf("a large event waits: %v", err)
				}
			})
		})
	}
}
