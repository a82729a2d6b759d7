package siotest_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

type Post struct {
	Text string `json:"text"`
}

// post is a handler as an application has it.
func post(c *sio.Ctx) error {
	var p Post
	if err := c.Bind(&p); err != nil {
		return err
	}
	if p.Text == "" {
		return &sio.Error{Message: "text is missing"}
	}
	if err := c.Namespace().Emit("posted", p); err != nil {
		return err
	}
	return c.Ack(len(p.Text))
}

// One handler, without a server to set up.
func ExampleNewCtx() {
	t := newT() // in a test, its *testing.T
	defer t.end()

	c, client := siotest.NewCtx(t, "post", Post{Text: "hello"})
	fmt.Println("error:", post(c))

	var posted Post
	client.Expect("posted", &posted)
	fmt.Println("posted:", posted.Text)

	var length int
	client.Ack.Bind(&length)
	fmt.Println("acknowledged:", length)

	c, _ = siotest.NewCtx(t, "post", Post{})
	fmt.Println("error:", post(c))
	// Output:
	// error: <nil>
	// posted: hello
	// acknowledged: 5
	// error: text is missing
}

// Middleware of the connect chain, which sees the auth payload.
func ExampleNewCtx_connect() {
	t := newT() // in a test, its *testing.T
	defer t.end()

	user := sio.NewKey[string]("user")
	authenticate := func(c *sio.Ctx) error {
		var login struct{ Token string }
		if err := c.Bind(&login); err != nil {
			return err
		}
		user.Set(c.Socket, "user of "+login.Token)
		return nil
	}

	c, _ := siotest.NewCtx(t, "connect", map[string]string{"token": "x"})
	fmt.Println(authenticate(c))
	fmt.Println(user.Get(c.Socket))
	// Output:
	// <nil>
	// user of x true
}

// A server with two clients, all of them in memory.
func ExampleConnect() {
	t := newT() // in a test, its *testing.T
	defer t.end()

	srv := sio.New(nil)
	chat := srv.Of("/chat")
	chat.On("post", post)
	t.Cleanup(func() { _ = srv.Shutdown(context.Background()) })

	ada := siotest.Connect(t, srv, "/chat", nil)
	bob := siotest.Connect(t, srv, "/chat", nil)
	ack := ada.Ask("post", Post{Text: "hello"})
	var posted Post
	bob.Expect("posted", &posted)
	fmt.Println("Bob sees:", posted.Text)
	var length int
	ack.Bind(&length)
	fmt.Println("acknowledged:", length)
	fmt.Println("error:", ada.Ask("post", Post{}).Err())

	_ = srv.Of("/chat").To(bob.ID()).Disconnect()
	fmt.Println("Bob:", bob.Disconnected())
	// Output:
	// Bob sees: hello
	// acknowledged: 5
	// error: text is missing
	// Bob: io server disconnect
}

// What a server tells a client that it refuses.
func ExampleTryConnect() {
	t := newT() // in a test, its *testing.T
	defer t.end()

	srv := sio.New(nil)
	srv.UseConnect(sio.Guard(func(*sio.Ctx) error {
		return &sio.Error{Message: "not authorized", Data: map[string]string{"code": "E001"}}
	}))
	t.Cleanup(func() { _ = srv.Shutdown(context.Background()) })

	_, err := siotest.TryConnect(t, srv, "/", map[string]string{"token": "x"})
	fmt.Println(err)
	// Output: not authorized
}

// A server that asks its client something.
func ExampleEvent_Ack() {
	t := newT() // in a test, its *testing.T
	defer t.end()

	srv := sio.New(nil)
	srv.On("buy", func(c *sio.Ctx) error {
		sure, err := sio.EmitWithAck[bool](c.Context(), c.Socket, "sure?")
		if err != nil {
			return err
		}
		return c.Ack(map[bool]string{true: "sold", false: "kept"}[sure])
	})
	t.Cleanup(func() { _ = srv.Shutdown(context.Background()) })

	client := siotest.Connect(t, srv, "/", nil)
	outcome := client.Ask("buy")
	client.Expect("sure?").Ack(true)
	var word string
	outcome.Bind(&word)
	fmt.Println(word)
	// Output: sold
}

// An exampleT lets an example, which has no test, do as if it had one.
type exampleT struct {
	testing.TB // nil: nothing else is called

	cleanups []func()
}

func newT() *exampleT { return new(exampleT) }

func (*exampleT) Helper()                      {}
func (t *exampleT) Cleanup(f func())           { t.cleanups = append(t.cleanups, f) }
func (*exampleT) Errorf(f string, args ...any) { fmt.Printf(f+"\n", args...) }
func (*exampleT) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }

func (t *exampleT) end() {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
}

// The packets themselves, for what a client of Socket.IO would not send. The upgrade is
// done as official clients do it.
func ExampleDialer() {
	t := newT() // in a test, its *testing.T
	defer t.end()

	srv := sio.New(nil)
	srv.On("post", post)
	t.Cleanup(func() { _ = srv.Shutdown(context.Background()) })

	d := siotest.Pipes(t, srv)
	d.Header = http.Header{"X-Tenant": {"acme"}}
	client := d.Polling(t)
	client.Connect("/", `{"token":"x"}`)
	client.Upgrade()
	client.Send(`421["post",{"text":1}]`)
	fmt.Println(client.Next())
	client.Send(`4nonsense`)
	fmt.Println("closed:", client.UntilClosed())
	// Output:
	// 431[{"error":{"message":"invalid payload"}}]
	// closed: []
}
