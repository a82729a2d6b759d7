package sio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

// blobs returns n binary values.
func blobs(n int) [][]byte {
	list := make([][]byte, n)
	for i := range list {
		list[i] = []byte{byte(i)}
	}
	return list
}

// listEvent returns the text of an event with a list of n binary values.
func listEvent(event string, n int) string {
	_, list, _ := strings.Cut(withPlaceholders(0, n), ",")
	return fmt.Sprintf(`45%d-["%s",[%s]`, n, event, list)
}

// wantBlobs reads an event that has n binary values as its argument.
func wantBlobs(t *testing.T, c *siotest.Client, event string, n int) {
	t.Helper()
	c.Want(listEvent(event, n))
	for range n {
		if got := c.Next(); !strings.HasPrefix(got, "b") {
			t.Fatalf("got %s, want an attachment", got)
		}
	}
}

// Official clients close their connection when a packet has more than ten binary
// values. Emit returned nil, nothing was logged, and a broadcast threw everybody out.
func TestManyBinaryValuesAreAnErrorOfWhoeverEmits(t *testing.T) {
	for name, opts := range map[string]*sio.Options{
		"alone":          {},
		"with a cluster": {Adapter: adapter.NewMemory()},
		"with a log":     {ConnectionStateRecovery: &sio.Recovery{}},
	} {
		t.Run(name, func(t *testing.T) {
			l := new(logbook)
			opts.Logger = slog.New(l)
			bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				failed := func(what string, err error) {
					t.Helper()
					if !errors.Is(err, sio.ErrTooManyAttachments) || !strings.Contains(err.Error(), "MaxSendAttachments") || !strings.Contains(err.Error(), "11") {
						t.Errorf("%s: error %v", what, err)
					}
				}
				echo(srv.Namespace)
				srv.On("e", func(c *sio.Ctx) error {
					failed("Emit", c.Emit("pictures", blobs(11)))
					failed("EmitVolatile", c.EmitVolatile("pictures", blobs(11)))
					failed("Broadcast.Emit", srv.Emit("pictures", blobs(11)))
					failed("Compress", c.Self().Compress(false).Emit("pictures", blobs(11)))
					_, err := c.EmitWithAck(c.Context(), "pictures", blobs(11))
					failed("EmitWithAck", err)
					for a := range sio.BroadcastWithAck[any](c.Context(), srv.Broadcast(), "pictures", blobs(11)) {
						failed("BroadcastWithAck", a.Err)
					}
					failed("Ack", c.Ack(blobs(11)))
					if err := c.Emit("pictures", blobs(10)); err != nil {
						return err
					}
					return c.Emit("pictures", struct {
						Posts []any
						More  []byte
					}{[]any{blobs(10)}, []byte{1}}) // which the log has at Debug
				})
				c := d.WebSocket(t)
				c.Connect("/", "")
				c.Send(`421["e"]`)
				if got := c.Next(); !strings.HasPrefix(got, `4510-["pictures",`) {
					t.Errorf("got %s", got)
				}
				for range 10 {
					c.Next()
				}
				if warned := l.above(); len(warned) != 1 || !strings.HasPrefix(warned[0], "WARN ") ||
					!strings.Contains(warned[0], "MaxSendAttachments") || !strings.Contains(warned[0], "pictures") {
					t.Errorf("logged above Debug: %q", warned)
				}
				synctest.Wait()
			})
		})
	}
}

func TestMaxSendAttachmentsIsAnOption(t *testing.T) {
	l := new(logbook)
	bubble(t, &sio.Options{MaxSendAttachments: 12, MaxAttachments: 30, Logger: slog.New(l)}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("relay", sio.Bind(func(c *sio.Ctx, v any) error { return c.Emit("relay", v) }))
		c := d.WebSocket(t)
		c.Connect("/", "")
		must(t, srv.Emit("e", blobs(12)))
		wantBlobs(t, c, "e", 12)
		if err := srv.Emit("e", blobs(13)); !errors.Is(err, sio.ErrTooManyAttachments) {
			t.Errorf("error %v", err)
		}
		// More may come in than may go out: a relay does not throw out others.
		c.Send(listEvent("relay", 30))
		c.Send(slices.Repeat([]string{"bAQ=="}, 30)...)
		synctest.Wait()
		must(t, srv.Emit("still here"))
		c.Want(`42["still here"]`)
	})
}

// Another server may have another limit. Its broadcasts do not get to clients that would
// close their connections because of them, nor into the log, which would have them come
// back with every recovery.
func TestManyBinaryValuesOfAnotherServerReachNoClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, cluster := new(logbook), adapter.NewMemory()
		generous := newServer(t, &sio.Options{Adapter: cluster, MaxSendAttachments: 100})
		srv := newServer(t, &sio.Options{Adapter: cluster, Logger: slog.New(l), ConnectionStateRecovery: &sio.Recovery{}})
		d := siotest.Pipes(t, srv)
		t.Cleanup(func() { shutdown(t, srv); shutdown(t, generous) })
		v := arrive(t, srv, d.WebSocket(t))
		must(t, generous.Emit("e", blobs(11)))
		answers := 0
		for range sio.BroadcastWithAck[any](t.Context(), generous.Broadcast(), "e", blobs(11)) {
			answers++
		}
		if answers != 0 {
			t.Errorf("%d answers", answers)
		}
		synctest.Wait()
		v.Abort()
		synctest.Wait()
		must(t, generous.Emit("e", blobs(11)))
		must(t, generous.Emit("e", blobs(2)))
		synctest.Wait()
		missed := v.connect(t, d.WebSocket(t))
		if len(missed) != 3 || !strings.HasPrefix(missed[0], "452-") {
			t.Errorf("missed %q", missed)
		}
		if errs := l.above(); len(errs) != 1 || !strings.Contains(errs[0], "MaxSendAttachments") {
			t.Errorf("logged %q", errs)
		}
	})
}

// What servers say to each other and no client gets has no such limit.
func TestManyBinaryValuesBetweenServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := adapter.NewMemory()
		a, b := newServer(t, &sio.Options{Adapter: cluster}), newServer(t, &sio.Options{Adapter: cluster})
		t.Cleanup(func() { shutdown(t, a); shutdown(t, b) })
		lookalike := map[string]any{"_placeholder": true, "num": 5.0}
		b.OnServerEvent("e", func(_ context.Context, args sio.Args) (any, error) {
			var list [][]byte
			var m map[string]any
			if err := args.Bind(&list, &m); err != nil || m["num"] != 5.0 {
				t.Errorf("%v, error %v", m, err)
			}
			return list, nil
		})
		for ack := range sio.ServerSideEmitWithAck[[][]byte](t.Context(), a.Namespace, "e", blobs(20), lookalike) {
			if ack.Err != nil || len(ack.Value) != 20 || ack.Value[19][0] != 19 {
				t.Errorf("%v, error %v", ack.Value, ack.Err)
			}
		}
	})
}

// One attachment of three bytes and eleven placeholders for it: a relay sent an event
// with eleven attachments to everybody, and official clients disconnected.
func TestPlaceholderKick(t *testing.T) {
	for name, args := range map[string]string{
		"eleven":             strings.TrimSuffix(strings.Repeat(`{"_placeholder":true,"num":0},`, 11), ","),
		"two":                `{"_placeholder":true,"num":0},{"_placeholder":true,"num":0.0}`,
		"one in another":     `{"_placeholder":true,"num":0,"x":{"_placeholder":true,"num":0}}`,
		"one for nothing":    `{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}`,
		"none":               `{"_placeholder":false,"num":0}`,
		"without escapes":    `{"_placeholder":true,"num":0},{"\u005fplaceholder":true,"num":0}`,
		"one without number": `{"_placeholder":true,"num":0},{"_placeholder":true}`,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, &sio.Options{AllowEIO3: true}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				why := make(chan sio.Reason, 10)
				srv.OnDisconnect(func(_ *sio.Socket, r sio.Reason) { why <- r })
				srv.On("relay", sio.Bind(func(c *sio.Ctx, v any) error { return c.Broadcast().Emit("relay", v) }))
				srv.On("ask", func(c *sio.Ctx) error {
					v, err := sio.EmitWithAck[any](c.Context(), c.Socket, "?")
					if err == nil {
						err = c.Broadcast().Emit("relay", v)
					}
					return err
				})
				victim := d.WebSocket(t)
				victim.Connect("/", "")
				for header, polling := range map[string]bool{`451-["relay",[`: false, `461-`: true} {
					c := d.WebSocket(t)
					if polling {
						c = d.Polling(t)
					}
					c.Connect("/", "")
					text := header + args + `]]`
					if header == `461-` {
						c.Send(`42["ask"]`)
						text = `461-` + strings.TrimSuffix(strings.TrimPrefix(c.Next(), "42"), `["?"]`) + `[[` + args + `]]`
					}
					c.Send(text)
					mustReason(t, why, sio.ReasonForcedClose)
					c.Abort()
				}
				synctest.Wait()
				must(t, srv.Emit("still here"))
				victim.Want(`42["still here"]`)
			})
		})
	}
}

// A client sends an object with _placeholder: true, and a handler sends it on together
// with a picture of the server's. Clients would take the object for a placeholder, one
// for nothing, and close their connections.
func TestPlaceholderKickBesideDataOfTheServer(t *testing.T) {
	for _, num := range []string{"99", "0", `"x"`, "null"} {
		bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
			var failed error
			srv.On("say", sio.Bind(func(_ *sio.Ctx, v any) error {
				failed = srv.Emit("said", v, []byte("picture"))
				return failed // which must not get into the log above Debug
			}))
			srv.On("raw", sio.Bind(func(_ *sio.Ctx, v json.RawMessage) error {
				failed = srv.Emit("said", v, []byte("picture"))
				return failed
			}))
			c := d.WebSocket(t)
			c.Connect("/", "")
			for _, event := range []string{"say", "raw"} {
				c.Send(`421["` + event + `",[{"_placeholder":true,"num":` + num + `}]]`)
				c.Want(`431[{"error":{"message":"internal error"}}]`)
				if !errors.Is(failed, sio.ErrPlaceholder) {
					t.Errorf("error %v", failed)
				}
			}
			must(t, srv.Emit("alone", map[string]any{"_placeholder": true}))
			c.Want(`42["alone",{"_placeholder":true}]`)
		})
	}
}

// Raw JSON that was made of a packet with binary data has that data in base64, and can be
// sent on: it had placeholders that referred to nothing, or to other data.
func TestRawMessageHasBinaryDataAsBase64(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("e", sio.Bind(func(c *sio.Ctx, v json.RawMessage) error { return c.Emit("e", v, []byte{9}) }))
		srv.On("in", sio.Bind(func(c *sio.Ctx, v struct {
			Raw json.RawMessage
			B   []byte
		},
		) error {
			return c.Emit("in", v.Raw, v.B)
		}))
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`451-["e",{"a":{"_placeholder":true,"num":0}}]`, "bAQID")
		c.Want(`451-["e",{"a":"AQID"},{"_placeholder":true,"num":0}]`, "bCQ==")
		c.Send(`452-["in",{"B":{"_placeholder":true,"num":0},"Raw":[{"_placeholder":true,"num":1}]}]`, "bAQID", "bBAUG")
		c.Want(`451-["in",["BAUG"],{"_placeholder":true,"num":0}]`, "bAQID")
	})
}

// Events whose name is a megabyte waited without being counted. So did space between
// the name and the arguments, and the lists that attachments are in.
func TestPendingNamesAreCounted(t *testing.T) {
	long := strings.Repeat("n", 100_000)
	for name, event := range map[string][]string{
		"an unknown name":         {`42["` + long + `"]`},
		"a known name":            {`42["known` + long + `"]`},
		"a name and an argument":  {`42["` + long + `",1]`},
		"space":                   {`42["e",1` + strings.Repeat(" ", 100_000) + `]`},
		"many small attachments":  append([]string{withPlaceholders(1, 1000)}, slices.Repeat([]string{"b"}, 1000)...),
		"an argument of 100 KB":   {`42["e","` + long + `"]`},
		"an attachment of 100 KB": {withPlaceholders(1, 1), "b" + long[:100_000]},
	} {
		t.Run(name, func(t *testing.T) {
			opts := &sio.Options{MaxPendingBytes: 1 << 20, MaxPendingEvents: 1000, MaxAttachments: 1000}
			bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				release := make(chan struct{})
				srv.On("slow", func(*sio.Ctx) error { <-release; return nil })
				srv.On("known"+long, func(*sio.Ctx) error { return nil })
				handled := 0
				srv.UseEvents(func(next sio.Handler) sio.Handler {
					return func(c *sio.Ctx) error { handled++; return next(c) }
				})
				srv.OnUnknown(func(c *sio.Ctx) error {
					if !strings.Contains(name, "space") && c.Size() < 50_000 && len(event) == 1 {
						t.Errorf("size %d", c.Size())
					}
					return nil
				})
				c := d.WebSocket(t)
				c.Connect("/", "")
				c.Send(`42["slow"]`)
				sent := 0
				done := make(chan struct{})
				go func() {
					defer close(done)
					for range 30 {
						if c.TrySend(event...) != nil {
							return
						}
						sent++
					}
				}()
				synctest.Wait()
				if most := 20; sent > most {
					t.Errorf("%d events of 75 KB or more were taken while 1 MiB may wait", sent)
				}
				close(release)
				<-done
				synctest.Wait()
				if handled != 31 {
					t.Errorf("%d events handled", handled)
				}
			})
		})
	}
}
