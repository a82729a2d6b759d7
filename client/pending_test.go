package sioclient_test

import (
	"errors"
	"strings"
	"testing"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
)

// While a handler is slow, the client stops reading. Nothing is lost, and the order stays.
func TestSlowHandler(t *testing.T) {
	t.Parallel()
	const n = 30 // they fit in 8 times MaxPendingBytes
	for name, o := range ways() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(nil)
			srv.On("burst", func(c *sio.Ctx) error {
				for i := range n {
					if err := c.Emit("item", i, strings.Repeat("x", 1000)); err != nil {
						return err
					}
				}
				return nil
			})
			o.MaxPendingEvents, o.MaxPendingBytes = 4, 5000
			s := newSocket(t, loopback(t, srv), "/", o)
			items, goOn := make(chan int, n), make(chan bool)
			s.On("item", sioclient.Bind(func(c *sioclient.Ctx, i int) error {
				if i == 0 {
					<-goOn
				}
				if i%10 == 1 { // its acknowledgement stands behind events that wait
					if v, err := sioclient.EmitWithAck[int](c.Context(), c.Socket, "echo", i); v != i || err != nil {
						t.Errorf("%d, %v", v, err)
					}
				}
				items <- i
				return nil
			}))
			if err := s.Connect(within(t)); err != nil {
				t.Fatal(err)
			}
			if err := s.Emit("burst"); err != nil {
				t.Fatal(err)
			}
			close(goOn)
			for i := range n {
				if v := wait(t, items); v != i {
					t.Fatalf("item %d is %d", i, v)
				}
			}
		})
	}
}

// A handler does not wait for ever for an acknowledgement that cannot be read.
func TestAckBlocked(t *testing.T) {
	t.Parallel()
	for name, o := range ways() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(nil)
			srv.On("burst", func(c *sio.Ctx) error {
				for i := range 200 {
					if err := c.Emit("item", i, strings.Repeat("x", 1000)); err != nil {
						return err
					}
				}
				return nil
			})
			o.MaxPendingEvents, o.MaxPendingBytes = 4, 5000
			s := newSocket(t, loopback(t, srv), "/", o)
			results := make(chan error, 200)
			s.On("item", sioclient.Bind(func(c *sioclient.Ctx, i int) error {
				_, err := sioclient.EmitWithAck[int](c.Context(), c.Socket, "echo", i)
				results <- err
				return nil
			}))
			if err := s.Connect(within(t)); err != nil {
				t.Fatal(err)
			}
			if err := s.Emit("burst"); err != nil {
				t.Fatal(err)
			}
			blocked := 0
			for range 200 {
				switch err := wait(t, results); {
				case errors.Is(err, sioclient.ErrAckBlocked):
					blocked++
				case err != nil:
					t.Error(err)
				}
			}
			if blocked == 0 || !s.Connected() {
				t.Errorf("%d calls were blocked", blocked)
			}
		})
	}
}
