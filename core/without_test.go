package sio_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// cut is middleware that takes an argument away.
func cut(i int) sio.Middleware {
	return func(next sio.Handler) sio.Handler {
		return func(c *sio.Ctx) error { return next(c.WithoutArg(i)) }
	}
}

func TestWithoutArg(t *testing.T) {
	t.Parallel()
	list := sio.Reply(func(_ *sio.Ctx, all sio.Args) ([]any, error) { return all.Values() })
	for i, want := range map[int][]any{
		-1: {"a", []byte{1}, true}, 0: {[]byte{1}, true}, 1: {"a", true}, 2: {"a", []byte{1}}, 3: {"a", []byte{1}, true},
	} {
		srv := newServer(t, nil)
		srv.On("list", list, cut(i))
		var got []any
		siotest.Connect(t, srv, "/", nil).Ask("list", "a", []byte{1}, true).Bind(&got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("without %d: %s", i, diff)
		}
	}
}

func TestArgsAt(t *testing.T) {
	t.Parallel()
	srv := newServer(t, nil)
	failed := make(chan error, 1)
	srv.On("at", func(c *sio.Ctx) error {
		var b []byte
		var o sio.Optional[int]
		var raw json.RawMessage
		a := c.Args()
		err := errors.Join(a.At(1).Bind(&b), a.At(2).Bind(&o), a.At(9).Bind(&o), a.At(0).Bind(&raw), a.Without(0).At(0).Bind(&b))
		if n := a.At(0).Size(); n != len(`"a"`) || a.At(9).Size() != 0 || a.Size() <= n {
			t.Errorf("sizes %d and %d", n, a.Size())
		}
		if err != nil || string(b) != "x" || o.Set || string(raw) != `"a"` {
			t.Errorf("%q, %v, %s, %v", b, o, raw, err)
		}
		failed <- errors.Join(a.At(3).Bind(&b), a.At(0).Bind(&o))
		return a.At(-1).Bind(&b)
	})
	if err := siotest.Connect(t, srv, "/", nil).Ask("at", "a", []byte("x"), nil).Err(); err == nil || err.Error() != "invalid payload" {
		t.Error(err)
	}
	if e, ok := errors.AsType[*sio.Error](<-failed); !ok || e.Message != "invalid payload" {
		t.Error(e)
	}
}

// An auth payload is no list that anything can be taken from.
func TestAuthWithoutArg(t *testing.T) {
	t.Parallel()
	srv := newServer(t, nil)
	srv.UseConnect(cut(0), sio.Guard(func(c *sio.Ctx) error {
		var auth, again struct{ Token string }
		err := errors.Join(c.Bind(&auth), c.Args().Without(0).At(0).Bind(&again))
		if auth.Token != "t" || again.Token != "t" {
			t.Errorf("%v, %v", auth, again)
		}
		if none := c.Args().At(1); none.Len() != 0 || none.Bind() != nil {
			t.Errorf("%d values", none.Len())
		}
		return err
	}))
	siotest.Connect(t, srv, "/", map[string]string{"token": "t"})
}
