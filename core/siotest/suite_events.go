package siotest

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	sio "github.com/sioplug/sioplug/core"
)

func echo(srv *sio.Server) {
	srv.On("echo", sio.Bind(func(c *sio.Ctx, s string) error { return c.Emit("echo", s) }))
}

func (s *suite) events(t *testing.T) {
	Transports(t, func(t *testing.T, open Opener) {
		_, d := s.serve(t, func(srv *sio.Server) {
			echo(srv)
			srv.OnConnect(func(c *sio.Ctx) error { return c.Emit("hi", c.ID()) })
			srv.Of("/admin").On("who", sio.Reply(func(c *sio.Ctx, _ struct{}) (string, error) { return c.ID(), nil }))
		})
		c := open(t, d)
		id := c.Connect("/", "")
		c.Want(`42["hi","` + id + `"]`)
		c.Send(`42["echo","one"]`, `42["echo","zwei ½ €"]`)
		c.Want(`42["echo","one"]`, `42["echo","zwei ½ €"]`)
		admin := c.Connect("/admin", `{"token":"x"}`)
		c.Send(`42/admin,7["who"]`)
		c.Want(`43/admin,7["` + admin + `"]`)
	})
}

// upgrade moves a client while events are on their way in both directions.
func (s *suite) upgrade(t *testing.T) {
	const n = 300
	_, d := s.serve(t, echo)
	c := d.Polling(t)
	c.Connect("/", "")
	send := func(from, to int) {
		for i := from; i < to; i++ {
			c.Send(fmt.Sprintf(`42["echo","%d"]`, i))
		}
	}
	send(0, n/3)
	c.Upgrade()
	send(n/3, n)
	for i := range n {
		c.Want(fmt.Sprintf(`42["echo","%d"]`, i))
	}
}

func (s *suite) binary(t *testing.T) {
	type picture struct {
		Name string   `json:"name"`
		Tile [][]byte `json:"tile"`
	}
	const placeholders = `{"name":"x","tile":[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]}`
	first := "b" + base64.StdEncoding.EncodeToString([]byte{0, 1, 0xFE, 0xFF, 0x1E})
	second := "b" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x80", 100_000)))
	Transports(t, func(t *testing.T, open Opener) {
		_, d := s.serve(t, func(srv *sio.Server) {
			srv.On("picture", sio.Reply(func(c *sio.Ctx, p picture) (picture, error) { return p, c.Emit("picture", p) }))
		})
		c := open(t, d)
		c.Connect("/", "")
		c.Send(`452-1["picture",`+placeholders+`]`, first, second)
		c.Want(`452-["picture",`+placeholders+`]`, first, second, `462-1[`+placeholders+`]`, first, second)
	})
}

func (s *suite) acks(t *testing.T) {
	Transports(t, func(t *testing.T, open Opener) {
		_, d := s.serve(t, func(srv *sio.Server) {
			srv.On("ask me", func(c *sio.Ctx) error {
				ctx, cancel := context.WithTimeout(c.Context(), waitLimit)
				defer cancel()
				n, err := sio.EmitWithAck[int](ctx, c.Socket, "how many")
				if err != nil {
					return err
				}
				return c.Ack(n + 1)
			})
			srv.On("fail", func(*sio.Ctx) error { return &sio.Error{Message: "no", Data: []int{1}} })
		})
		c := open(t, d)
		c.Connect("/", "")
		c.Send(`421["ask me"]`)
		question := c.Next()
		id, ok := strings.CutSuffix(strings.TrimPrefix(question, "42"), `["how many"]`)
		if !ok {
			t.Fatalf("got %q, want an event that asks how many", question)
		}
		c.Send(`43` + id + `[41]`)
		c.Want(`431[42]`)
		c.Send(`422["fail"]`)
		c.Want(`432[{"error":{"message":"no","data":[1]}}]`)
	})
}

func (s *suite) refusal(t *testing.T) {
	type login struct {
		Token string `json:"token"`
	}
	Transports(t, func(t *testing.T, open Opener) {
		_, d := s.serve(t, func(srv *sio.Server) {
			echo(srv)
			srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
				var l login
				if err := c.Bind(&l); err != nil {
					return err
				}
				if l.Token != "secret" {
					return &sio.Error{Message: "not authorized", Data: map[string]string{"code": "E001"}}
				}
				return nil
			}))
		})
		c := open(t, d)
		c.Send(`40{"token":"wrong"}`)
		c.Want(`44{"message":"not authorized","data":{"code":"E001"}}`)
		c.Send(`40/unknown,`)
		c.Want(`44/unknown,{"message":"Invalid namespace"}`)
		c.Connect("/", `{"token":"secret"}`)
		c.Send(`42["echo","in"]`)
		c.Want(`42["echo","in"]`)
	})
}
