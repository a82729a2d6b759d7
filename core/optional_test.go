package sio_test

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

func TestOptionalArguments(t *testing.T) {
	type page struct{ From int }
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("bind", func(c *sio.Ctx) error {
			var name string
			first := sio.Optional[page]{page{-1}, true} // whatever was there before
			var second sio.Optional[[]byte]
			if err := c.Bind(&name, &first, nil, &second); err != nil {
				return err
			}
			return c.Ack(first.Set, first.Value.From, second.Set, second.Value)
		})
		srv.On("args", func(c *sio.Ctx) error {
			var only sio.Optional[any]
			if err := c.Args().Bind(&only); err != nil {
				return err
			}
			return c.Ack(only.Set, only.Value)
		})
		srv.On("one", sio.Reply(func(_ *sio.Ctx, n sio.Optional[int]) (int, error) { return n.Or(42), nil }))
		for packet, want := range map[string]string{
			`["bind","a"]`:                             `[false,0,false,null]`,
			`["bind","a",null,null,null]`:              `[false,0,false,null]`,
			`["bind","a",{"from":7}]`:                  `[true,7,false,null]`,
			`["bind","a",{"from":7},"of no interest"]`: `[true,7,false,null]`,
			`["bind","a",null,0,"AQ=="]`:               "", // see below
			`["bind"]`:                                 `[{"error":{"message":"invalid payload"}}]`,
			`["bind",1]`:                               `[{"error":{"message":"invalid payload"}}]`,
			`["bind","a","b"]`:                         `[{"error":{"message":"invalid payload"}}]`,
			`["bind","a",{},0,1]`:                      `[{"error":{"message":"invalid payload"}}]`,
			`["args"]`:                                 `[false,null]`,
			`["args",{"x":[null]},"surplus"]`:          `[true,{"x":[null]}]`,
			`["one"]`:                                  `[42]`,
			`["one",null]`:                             `[42]`,
			`["one",0]`:                                `[0]`,
			`["one","x"]`:                              `[{"error":{"message":"invalid payload"}}]`,
		} {
			c := d.WebSocket(t)
			c.Connect("/", "")
			c.Send("421" + packet)
			if strings.Contains(packet, "AQ==") {
				c.Want(`461-1[false,0,true,{"_placeholder":true,"num":0}]`, "bAQ==")
				continue
			}
			c.Want("431" + want)
		}
	})
}

func TestOptionalAuth(t *testing.T) {
	type auth struct{ Token string }
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
			a, second := sio.Optional[auth]{auth{"old"}, true}, sio.Optional[int]{1, true}
			err := c.Bind(&a, &second)
			s.add("%v %+v %+v", err, a, second)
			return nil
		}))
		for _, payload := range []string{"", `{"token":"x"}`, `{}`} {
			d.WebSocket(t).Connect("/", payload)
			synctest.Wait()
		}
		s.want(t, "<nil> {Value:{Token:} Set:false} {Value:0 Set:false}",
			"<nil> {Value:{Token:x} Set:true} {Value:0 Set:false}", "<nil> {Value:{Token:} Set:true} {Value:0 Set:false}")
	})
}

// It is a mistake in the handler, whatever the client sends.
func TestAnOptionalBeforeWhatIsRequired(t *testing.T) {
	l := new(logbook)
	bubble(t, &sio.Options{Logger: slog.New(l)}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("wrong", func(c *sio.Ctx) error { return c.Bind(new(sio.Optional[int]), new(string)) })
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`421["wrong",1,"a"]`)
		c.Want(`431[{"error":{"message":"internal error"}}]`)
		if line := l.one(t, "Optional"); !strings.HasPrefix(line, "ERROR") || !strings.Contains(line, "last") {
			t.Error(line)
		}
	})
}
