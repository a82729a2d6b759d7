package sio_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

func TestKey(t *testing.T) {
	type user struct{ Name string }
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		userKey, other := sio.NewKey[*user]("user"), sio.NewKey[*user]("user")
		srv.UseConnect(sio.Guard(func(c *sio.Ctx) error { // before the client is accepted
			if _, ok := userKey.Get(c.Socket); ok {
				t.Error("a value that nobody set")
			}
			var u user
			if err := c.Bind(&u); err != nil {
				return err
			}
			userKey.Set(c.Socket, &u)
			return nil
		}))
		left := make(chan string, 2)
		srv.OnDisconnect(func(s *sio.Socket, _ sio.Reason) {
			u, _ := userKey.Get(s)
			left <- u.Name
		})
		srv.On("who", func(c *sio.Ctx) error {
			u, ok := userKey.Get(c.Socket)
			_, otherOK := other.Get(c.Socket)
			return c.Ack(u.Name, ok, otherOK)
		})
		for _, name := range []string{"ann", "bob"} {
			c := d.WebSocket(t)
			c.Connect("/", `{"name":"`+name+`"}`)
			c.Send(`421["who"]`)
			c.Want(`431["` + name + `",true,false]`)
			c.Abort()
			if got := <-left; got != name {
				t.Errorf("%s left as %s", name, got)
			}
		}
		if userKey.String() != "user" {
			t.Errorf("String is %q", userKey)
		}
	})
}

// A nil that was set into a key of an interface type was taken for nothing.
func TestKeyOfAnInterfaceKeepsNil(t *testing.T) {
	withSocket(t, nil, func(t *testing.T, _ *sio.Server, s *sio.Socket, _ *siotest.Client) {
		k := sio.NewKey[error]("last error")
		if v, ok := k.Get(s); ok || v != nil {
			t.Errorf("before: %v, %v", v, ok)
		}
		k.Set(s, nil)
		if v, ok := k.Get(s); !ok || v != nil {
			t.Errorf("after nil: %v, %v", v, ok)
		}
		k.Set(s, errors.ErrUnsupported)
		if v, ok := k.Get(s); !ok || !errors.Is(v, errors.ErrUnsupported) {
			t.Errorf("after a value: %v, %v", v, ok)
		}
	})
}

func TestKeyFromManyGoroutines(t *testing.T) {
	withSocket(t, nil, func(t *testing.T, _ *sio.Server, s *sio.Socket, _ *siotest.Client) {
		var all sync.WaitGroup
		for i := range 8 {
			k := sio.NewKey[int](fmt.Sprint(i))
			all.Go(func() {
				for n := range 100 {
					k.Set(s, n)
					if got, ok := k.Get(s); !ok || got != n {
						t.Errorf("key %v: %d, %v", k, got, ok)
					}
				}
			})
		}
		all.Wait()
	})
}
