package sio_test

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

func TestValuesOfAnEvent(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		got := make(chan []any, 10)
		values := func(c *sio.Ctx) error {
			v, err := c.Args().Values()
			got <- v
			return err
		}
		srv.UseConnect(sio.Guard(values))
		srv.OnConnect(values)
		srv.On("forward", func(c *sio.Ctx) error {
			v, err := c.Args().Values()
			if err != nil {
				return err
			}
			return c.Emit("forward", v...)
		})
		srv.On("changed", values, func(next sio.Handler) sio.Handler {
			return func(c *sio.Ctx) error {
				c, err := c.WithArgs("changed", []byte{1})
				if err != nil {
					return err
				}
				return next(c)
			}
		})
		echo(srv.Namespace)
		want := func(v ...any) {
			t.Helper()
			if diff := cmp.Diff(v, <-got); diff != "" {
				t.Error(diff)
			}
		}
		c := d.WebSocket(t)
		c.Connect("/", `{"token":"a"}`)
		want(map[string]any{"token": "a"})
		want(map[string]any{"token": "a"})
		for _, packets := range [][]string{
			{`42["forward"]`},
			{`42["forward",1,"two",[3,null],{"x":{}},true]`},
			{`451-["forward",{"deep":[{"_placeholder":true,"num":0}]}]`, "bAQID"},
		} {
			c.Send(packets...)
			for _, p := range packets {
				c.Want(p)
			}
		}
		c.Send(`42["changed",7]`)
		want("changed", []byte{1})

		c.Send("41")
		synctest.Wait()
		c.Connect("/", "")
		want(map[string]any{})
		want(map[string]any{})
	})
}

// JSON has numbers that Go has not: a client that sends them is told, and not the log.
func TestValuesThatDoNotFit(t *testing.T) {
	l := new(logbook)
	bubble(t, &sio.Options{Logger: slog.New(l)}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("forward", func(c *sio.Ctx) error {
			v, err := c.Args().Values()
			if v != nil {
				t.Errorf("values %v", v)
			}
			return err
		})
		srv.On("bind", func(c *sio.Ctx) error { return c.Args().Bind(new(int)) })
		srv.On("ask", func(c *sio.Ctx) error {
			_, err := sio.EmitWithAck[int](c.Context(), c.Socket, "question", 1)
			return err
		})
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`421["forward",1e999]`, `422["bind","x"]`)
		c.Want(`431[{"error":{"message":"invalid payload"}}]`, `432[{"error":{"message":"invalid payload"}}]`)
		c.Send(`423["ask"]`)
		c.Send("43" + asked(t, c, theQuestion) + `["` + secret + `"]`)
		c.Want(`433[{"error":{"message":"internal error"}}]`)
		if line := l.one(t, "decoding values"); !strings.HasPrefix(line, "DEBUG") {
			t.Error(line)
		}
		l.mustBeQuiet(t)
	})
}

// "invalid payload" was the answer to an event without arguments whose handler takes
// an any, and to each event whose handler takes all arguments.
func TestHandlersTakeNoArgumentAndAllArguments(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("any", sio.Reply(func(_ *sio.Ctx, v any) (bool, error) { return v == nil, nil }))
		srv.On("all", sio.Reply(func(_ *sio.Ctx, args sio.Args) (int, error) { return args.Len(), nil }))
		srv.On("fit", sio.Bind(func(_ *sio.Ctx, args sio.Args) error {
			var n int
			return args.Bind(&n)
		}))
		c := d.WebSocket(t)
		c.Connect("/", "")
		for _, p := range [][2]string{
			{`["any"]`, `[true]`},
			{`["any",null]`, `[true]`},
			{`["any",0]`, `[false]`},
			{`["all"]`, `[0]`},
			{`["all",1,null,"x"]`, `[3]`},
			{`["fit",1]`, `[]`},
			{`["fit","x"]`, `[{"error":{"message":"invalid payload"}}]`},
		} {
			c.Send("421" + p[0])
			c.Want("431" + p[1])
		}
	})
}

func TestArgsSize(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		sizes := make(chan int, 1)
		srv.OnAny(func(c *sio.Ctx) { sizes <- c.Args().Size() })
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`42["hello","abc",12]`)
		if got, want := <-sizes, len(`"abc",12`); got != want {
			t.Errorf("the size is %d, want %d", got, want)
		}
		c.Send(`451-["hello",{"_placeholder":true,"num":0}]`, "bAAAA")
		if got, want := <-sizes, len(`{"_placeholder":true,"num":0}`)+3; got != want {
			t.Errorf("the size with binary data is %d, want %d", got, want)
		}
	})
}
