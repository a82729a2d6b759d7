package client_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// lateGuard lets clients wait, and decides then.
func lateGuard(c *sio.Ctx) error {
	select {
	case <-time.After(30 * time.Millisecond):
	case <-c.Context().Done():
	}
	var a struct{ Token string }
	if err := c.Bind(&a); err != nil || a.Token != "secret" {
		return &sio.Error{Message: "no entry, after all"}
	}
	return nil
}

// handleMore has the handlers of moreScenarios.
func handleMore(n *sio.Namespace) {
	n.On("join", sio.Bind(func(c *sio.Ctx, room string) error { return c.Join(room) }))
	n.On("to room", func(c *sio.Ctx) error {
		values, err := c.Args().Values()
		if err != nil {
			return err
		}
		return c.Namespace().To(fmt.Sprint(values[0])).Emit(fmt.Sprint(values[1]), values[2:]...)
	})
	n.On("volatile to all", func(c *sio.Ctx) error {
		values, err := c.Args().Values()
		if err != nil {
			return err
		}
		return c.Namespace().Broadcast().Volatile().Emit(fmt.Sprint(values[0]), values[1:]...)
	})
	n.On("survey", func(c *sio.Ctx) error {
		var room string
		var value []byte
		if err := c.Bind(&room, &value); err != nil {
			return err
		}
		var answers [][]byte
		for a := range sio.BroadcastWithAck[[]byte](c.Context(), c.Namespace().To(room), "question", value) {
			if a.Err != nil {
				return a.Err
			}
			answers = append(answers, a.Value)
		}
		return c.Ack(answers)
	})
	n.On("ask me often", sio.Reply(func(c *sio.Ctx, n int) ([]int, error) {
		var asked []sio.Answer[int]
		for i := range n {
			a, err := sio.Ask[int](c.Socket, "question", i)
			if err != nil {
				return nil, err
			}
			asked = append(asked, a)
		}
		var answers []int
		for _, a := range asked {
			v, err := a.Wait(c.Context())
			if err != nil {
				return nil, err
			}
			answers = append(answers, v)
		}
		return answers, nil
	}))
	n.On("ask me briefly", sio.Reply(func(c *sio.Ctx, _ struct{}) (string, error) {
		ctx, cancel := context.WithTimeout(c.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := sio.EmitWithAck[int](ctx, c.Socket, "question", 1); errors.Is(err, context.DeadlineExceeded) {
			return "late", nil
		}
		return "in time", nil
	}))
	n.On("mixed", sio.Bind(func(c *sio.Ctx, n int) error {
		for i := range n {
			var v any = fmt.Sprint("text ", i)
			if i%2 == 1 {
				v = bytes.Repeat([]byte{byte(i)}, i%200)
			}
			if err := c.Emit("mixed", i, v); err != nil {
				return err
			}
		}
		return nil
	}))
	n.On("volatile", sio.Bind(func(c *sio.Ctx, n int) error {
		for i := range n {
			err := c.EmitVolatile("tick", i, bytes.Repeat([]byte{byte(i)}, 2000), bytes.Repeat([]byte{byte(i)}, 10))
			if err != nil && !errors.Is(err, sio.ErrNotReady) {
				return err
			}
		}
		return c.Emit("end of ticks")
	}))
	n.On("attachments", sio.Bind(func(c *sio.Ctx, n int) error {
		var all []any
		for i := range n {
			all = append(all, []byte{byte(i)})
		}
		return c.Emit("attachments", all...)
	}))
	n.On("message", func(c *sio.Ctx) error {
		values, err := c.Args().Values()
		if err != nil {
			return err
		}
		return c.Emit("message", values...)
	})
	n.On("big", sio.Bind(func(c *sio.Ctx, n int) error { return c.Emit("big", strings.Repeat("x", n)) }))
	n.On("goodbye", func(c *sio.Ctx) error {
		for i := range 20 {
			if err := c.Emit("item", i); err != nil {
				return err
			}
		}
		return c.Close()
	})
}

// pemOf returns a certificate and its key for Node.js.
func pemOf(t *testing.T, c *tls.Certificate) map[string]string {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"key":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
		"cert": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})),
	}
}
