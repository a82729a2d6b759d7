package interop_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	siogin "github.com/sioplug/sioplug/integrations/gin"
)

// options returns what the server has to be set to for a subject.
func options(subject string) sio.Options {
	switch subject {
	case "deflate": // as far as clients want it
		return sio.Options{PerMessageDeflate: &sio.PerMessageDeflate{
			ServerContextTakeover: true, ClientContextTakeover: true,
		}}
	case "versions":
		return sio.Options{AllowEIO3: true}
	case "recovery":
		// A client whose connection is cut between its last poll and its move to
		// WebSocket has nothing but the heartbeat to tell it.
		return sio.Options{
			ConnectionStateRecovery: recovery(),
			PingInterval:            3 * time.Second, PingTimeout: 4 * time.Second,
		}
	case "compress":
		return sio.Options{PerMessageDeflate: &sio.PerMessageDeflate{}}
	case "children":
		return sio.Options{CleanupEmptyChildNamespaces: true}
	case "timeout":
		return sio.Options{ConnectTimeout: 2 * time.Second}
	case "limits":
		return sio.Options{UseRequest: limitedHandshakes()}
	default:
		return sio.Options{}
	}
}

// newServer returns the Socket.IO server that the scenarios talk to.
func newServer(m mount, log *slog.Logger, n *notes, opts sio.Options) *sio.Server {
	opts.ClientFS = os.DirFS("node_modules/socket.io-client/dist")
	opts.Logger = log
	if opts.CleanupEmptyChildNamespaces {
		opts.Adapter = funeral{adapter.NewMemory(), n}
	}
	srv := sio.New(&opts)
	root := srv.Of("/")
	everywhere(root, n)
	echoes(root)
	acks(root)
	questions(root, n)
	values(root, m)
	sizes(root)
	volatile(root)

	chat := srv.Of("/chat")
	everywhere(chat, n)
	names(chat)

	features(srv, n)
	limits(srv, n)
	vaults(srv, m)

	everywhere(srv.Of("/members"), n)
	members(srv.Of("/members"))

	everywhere(srv.Of("/errors"), n)
	failures(srv.Of("/errors"))

	rooms(srv.Of("/rooms"))
	rooms(srv.Of("/other rooms"))

	for _, name := range []string{"/order/a", "/order/b"} {
		srv.Of(name).On("echo", sio.Reply(func(_ *sio.Ctx, n int) (int, error) { return n, nil }))
	}
	order(srv.Of("/order/text"), func(n int) any { return n }, sio.Bind(receive))
	order(srv.Of("/order/binary"), toBytes, sio.Bind(func(c *sio.Ctx, b []byte) error {
		return receive(c, int(binary.BigEndian.Uint32(b)))
	}))
	return srv
}

// everywhere is what most namespaces have in common.
func everywhere(ns *sio.Namespace, n *notes) {
	ns.On("sync", acknowledge)
	ns.On("id", sio.Reply(func(c *sio.Ctx, _ struct{}) (string, error) { return c.ID(), nil }))
	ns.On("transport", sio.Reply(func(c *sio.Ctx, _ struct{}) (string, error) { return c.Transport(), nil }))
	ns.On("whereami", func(c *sio.Ctx) error { return c.Emit("whereami", ns.Name()) })
	ns.On("disconnect me", func(c *sio.Ctx) error { return c.Disconnect() })
	ns.On("close my connection", func(c *sio.Ctx) error { return c.Close() })
	ns.OnDisconnect(func(s *sio.Socket, reason sio.Reason) {
		if !s.Recovered() { // otherwise it has left under this id before
			n.make("leaving of "+s.ID(), string(reason))
		}
	})
}

func acknowledge(c *sio.Ctx) error { return c.Ack() }

// A picture travels with its bytes as binary attachments.
type picture struct {
	Name       string   `json:"name"`
	Image      []byte   `json:"image"`
	Thumbnails [][]byte `json:"thumbnails"`
}

// echoes sends back what it receives.
func echoes(ns *sio.Namespace) {
	ns.On("echo", sio.Bind(func(c *sio.Ctx, v any) error { return c.Emit("echo", v) }))
	ns.On("message", sio.Bind(func(c *sio.Ctx, text string) error { return c.Emit("message", text) }))
	ns.On("emit", func(c *sio.Ctx) error {
		var event string
		var v any
		if err := c.Bind(&event, &v); err != nil {
			return err
		}
		return errors.Join(c.Emit(event, v), c.Ack())
	})
	ns.On("pictures", sio.Bind(func(c *sio.Ctx, n int) error {
		list := make([][]byte, n)
		for i := range list {
			list[i] = []byte{byte(i)}
		}
		if err := c.Emit("pictures", list); err != nil {
			return c.Ack(err.Error())
		}
		return c.Ack("sent")
	}))
	ns.On("no argument", func(c *sio.Ctx) error { return c.Emit("no argument") })
	ns.On("swap", func(c *sio.Ctx) error {
		var text string
		var number int
		if err := c.Bind(&text, &number); err != nil {
			return err
		}
		return c.Emit("swap", number, text)
	})
	ns.On("picture", sio.Bind(func(c *sio.Ctx, p picture) error {
		p.Name = "copy of " + p.Name
		return c.Emit("picture", p)
	}))
}

// acks answers events: with the result of a function, or by hand.
func acks(ns *sio.Namespace) {
	ns.On("double", sio.Reply(double))
	ns.On("mirror", sio.Reply(func(_ *sio.Ctx, v any) (map[string]any, error) {
		return map[string]any{"mirrored": v}, nil
	}))
	ns.On("answer nothing", acknowledge)
	ns.On("answer with three", func(c *sio.Ctx) error { return c.Ack(1, "two", []byte("three")) })
	ns.On("answer twice", func(c *sio.Ctx) error {
		if err := c.Ack("once"); err != nil {
			return err
		}
		if err := c.Ack("twice"); !errors.Is(err, sio.ErrAckSent) {
			return fmt.Errorf("second Ack returned %w, want ErrAckSent", err)
		}
		return nil
	})
}

func double(_ *sio.Ctx, n int) (int, error) { return 2 * n, nil }

// questions asks the client in return.
func questions(ns *sio.Namespace, n *notes) {
	ns.On("ask me", sio.Reply(func(c *sio.Ctx, n int) (int, error) {
		return sio.EmitWithAck[int](c.Context(), c.Socket, "question", n)
	}))
	ns.On("ask me for a picture", sio.Reply(func(c *sio.Ctx, _ struct{}) (picture, error) {
		return sio.EmitWithAck[picture](c.Context(), c.Socket, "picture, please")
	}))
	ns.On("ask me often", sio.Reply(askOften))
	ns.On("ask me briefly", sio.Reply(func(c *sio.Ctx, _ struct{}) (string, error) {
		ctx, cancel := context.WithTimeout(c.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := sio.EmitWithAck[int](ctx, c.Socket, "question", 0)
		return ending(err), nil
	}))
	ns.On("ask me at leisure", func(c *sio.Ctx) error {
		_, err := sio.EmitWithAck[int](context.WithoutCancel(c.Context()), c.Socket, "question", 0)
		n.make("answer of "+c.ID(), ending(err))
		return nil
	})
}

// askOften asks n questions at the same time.
func askOften(c *sio.Ctx, n int) ([]int, error) {
	answers, errs := make([]int, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			answers[i], errs[i] = sio.EmitWithAck[int](c.Context(), c.Socket, "question", i)
		})
	}
	wg.Wait()
	return answers, errors.Join(errs...)
}

// ending says how a question ended.
func ending(err error) string {
	switch {
	case err == nil:
		return "answered"
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline exceeded"
	case errors.Is(err, sio.ErrDisconnected):
		return "disconnected"
	default:
		return err.Error()
	}
}

// values reads what the framework's middleware and router knew about the request.
func values(ns *sio.Namespace, m mount) {
	type identity struct {
		User   string `json:"user"`
		Tenant string `json:"tenant"`
	}
	ns.On("whoami", sio.Reply(func(c *sio.Ctx, _ struct{}) (who identity, err error) {
		who.User, who.Tenant = m.identify(c.Socket)
		return who, nil
	}))
	ns.On("protocol", sio.Reply(func(c *sio.Ctx, _ struct{}) (string, error) {
		return siogin.Context(c.Socket).Request.Proto, nil // it is asked for only there
	}))
}

// sizes is about large messages, and about binary data of any size.
func sizes(ns *sio.Namespace) {
	ns.On("length", sio.Reply(func(_ *sio.Ctx, text string) (int, error) { return len(text), nil }))
	ns.On("digest", sio.Reply(func(_ *sio.Ctx, data []byte) (string, error) {
		return fmt.Sprintf("%x", sha256.Sum256(data)), nil
	}))
	ns.On("send me", sio.Bind(func(c *sio.Ctx, size int) error {
		text := strings.Repeat("x", size)
		return errors.Join(c.Emit("text", text), c.Emit("bytes", []byte(text)))
	}))
}

// volatile mixes events that may be dropped (the even numbers) with others.
func volatile(ns *sio.Namespace) {
	ns.On("one volatile", func(c *sio.Ctx) error {
		return errors.Join(c.EmitVolatile("number", 0), c.Ack())
	})
	ns.On("count with volatile", counter(func(c *sio.Ctx, n int) error {
		if n%2 == 0 {
			return c.EmitVolatile("number", n)
		}
		return c.Emit("number", n)
	}))
	ns.On("count with volatile pictures", counter(func(c *sio.Ctx, n int) error {
		if n%2 == 0 {
			return c.EmitVolatile("picture", picture{Image: []byte("the image")})
		}
		return c.Emit("number", n)
	}))
	ns.On("count for all with volatile", counter(func(_ *sio.Ctx, n int) error {
		if n%2 == 0 {
			return ns.To().Volatile().Emit("number", n)
		}
		return ns.Emit("number", n)
	}))
	ns.On("number", sio.Bind(receive))
	ns.On("numbers", sio.Reply(received))
}

// counter returns a handler that calls step with the numbers below its argument.
func counter(step func(c *sio.Ctx, n int) error) sio.Handler {
	return sio.Reply(func(c *sio.Ctx, end int) (bool, error) {
		for n := range end {
			if err := step(c, n); err != nil {
				return false, err
			}
		}
		return true, nil
	})
}

// numbers keeps what a socket sent. The events of a socket are handled one at a
// time, so its handlers need no lock.
var numbers = sio.NewKey[[]int]("numbers")

func receive(c *sio.Ctx, n int) error {
	list, _ := numbers.Get(c.Socket)
	numbers.Set(c.Socket, append(list, n))
	return nil
}

func received(c *sio.Ctx, _ struct{}) ([]int, error) {
	list, _ := numbers.Get(c.Socket)
	return list, nil
}

// released is closed when the last of a socket's numbers may be sent.
var released = sio.NewKey[chan struct{}]("released")

// order sends a thousand numbers and keeps those it receives.
func order(ns *sio.Namespace, encode func(int) any, up sio.Handler) {
	ns.On("up", up)
	ns.On("received", sio.Reply(received))
	ns.OnConnect(func(c *sio.Ctx) error {
		release := make(chan struct{})
		released.Set(c.Socket, release)
		go count(c.Socket, encode, release)
		return nil
	})
	ns.On("release", func(c *sio.Ctx) error {
		release, _ := released.Get(c.Socket)
		close(release)
		return nil
	})
}

// count sends the numbers in small bursts, and the last hundred after release.
func count(s *sio.Socket, encode func(int) any, release <-chan struct{}) {
	const total, reserve, burst, interval = 1_000, 100, 10, time.Millisecond
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for n := range total {
		if n%burst == 0 {
			<-tick.C
		}
		if n == total-reserve {
			select {
			case <-release:
			case <-s.Context().Done():
				return
			}
		}
		if s.Emit("down", encode(n)) != nil {
			return // the client is gone
		}
	}
}

func toBytes(n int) any { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
