package siofiber_test

import (
	"errors"
	"fmt"
	"net"

	"github.com/gofiber/fiber/v2"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	siofiber "github.com/sioplug/sioplug/integrations/fiber"
	"github.com/sioplug/sioplug/internal/exampletb"
)

// run serves an application until the example ends.
func run(tb *exampletb.TB, app *fiber.App) siotest.Dialer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("listening: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- app.Listener(l) }()
	tb.Cleanup(func() {
		if err := errors.Join(app.Shutdown(), <-done); err != nil {
			tb.Errorf("Fiber: %v", err)
		}
	})
	return siotest.Dialer{URL: "http://" + l.Addr().String() + "/socket.io/"}
}

// user is middleware that knows who is there.
func user(name string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		c.Locals("user", name)
		return c.Next()
	}
}

// Your middleware finds the user, and every handler of the socket knows it.
func ExampleMount() {
	srv := sio.New(nil)
	srv.On("hello", sio.Reply(func(c *sio.Ctx, greeting string) (string, error) {
		return greeting + ", " + siofiber.Locals[string](c.Socket, "user"), nil
	}))

	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	siofiber.Mount(app.Group("/", user("ada")), srv)

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	d := run(tb, app)
	var answer string
	d.Connect(tb, "/", nil).Ask("hello", "good morning").Bind(&answer)
	fmt.Println(answer)
	// Output: good morning, ada
}

// A route of the application's own tells everybody in a room.
func ExampleFrom() {
	srv := sio.New(nil)
	srv.OnConnect(func(c *sio.Ctx) error { return c.Join("kitchen") })

	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(siofiber.Provide(srv))
	siofiber.Mount(app, srv)
	app.Post("/orders/:dish", func(c *fiber.Ctx) error {
		if err := siofiber.From(c).To("kitchen").Emit("ordered", c.Params("dish")); err != nil {
			return err
		}
		return c.SendStatus(fiber.StatusAccepted)
	})

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	d := run(tb, app)
	client := d.Connect(tb, "/", nil)
	res, err := d.HTTP(tb).Post(d.At("/orders/soup").URL, "", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = res.Body.Close()
	fmt.Println(res.Status)

	var dish string
	client.Expect("ordered", &dish)
	fmt.Println("ordered:", dish)
	// Output:
	// 202 Accepted
	// ordered: soup
}

// Fiber's middleware decides who may enter a namespace.
func ExampleConnect() {
	onlyAda := func(c *fiber.Ctx) error {
		if c.Locals("user") != "ada" {
			return fiber.NewError(fiber.StatusForbidden, "staff only")
		}
		return c.Next()
	}
	srv := sio.New(nil)
	srv.Of("/staff").UseConnect(siofiber.Connect(onlyAda))

	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	siofiber.Mount(app.Group("/", user("bob")), srv)

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	d := run(tb, app)
	_, err := d.TryConnect(tb, "/staff", nil)
	if refused, ok := errors.AsType[*sio.Error](err); ok {
		fmt.Println(refused.Message, refused.Data)
	}
	// Output: Forbidden map[body:staff only status:403]
}

// Another path than /socket.io/, for clients with the option path: "/live/".
func ExampleHandler() {
	srv := sio.New(nil)
	srv.On("hello", sio.Reply(func(_ *sio.Ctx, name string) (string, error) { return "Hello " + name, nil }))

	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.All("/live/", siofiber.Handler(srv))

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	var answer string
	run(tb, app).At("/live/").Connect(tb, "/", nil).Ask("hello", "Ada").Bind(&answer)
	fmt.Println(answer)
	// Output: Hello Ada
}

// Middleware that is not for sockets, such as a check that would refuse their POSTs.
func ExampleNext() {
	csrf := func(c *fiber.Ctx) error {
		if c.Method() == fiber.MethodPost && !siofiber.Next(c) {
			return fiber.ErrForbidden
		}
		return c.Next()
	}
	srv := sio.New(nil)
	srv.On("hello", sio.Reply(func(_ *sio.Ctx, name string) (string, error) { return "Hello " + name, nil }))

	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(csrf)
	siofiber.Mount(app, srv)

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	client := run(tb, app).Polling(tb)
	client.Connect("/", "")
	client.Send(`420["hello","Ada"]`)
	fmt.Println(client.Next())
	// Output: 430["Hello Ada"]
}
