package siofiberv3_test

import (
	"context"
	"fmt"

	"github.com/gofiber/fiber/v3"

	sio "github.com/sioplug/sioplug/core"
	siofiberv3 "github.com/sioplug/sioplug/integrations/fiberv3"
	"github.com/sioplug/sioplug/integrations/internal/exampletest"
)

// run serves an application until stop is called.
func run(app *fiber.App, srv *sio.Server) (url string, stop func()) {
	l := exampletest.Listen()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = app.Listener(l, fiber.ListenConfig{DisableStartupMessage: true})
	}()
	return "http://" + l.Addr().String(), func() {
		_ = srv.Shutdown(context.Background())
		_ = app.Shutdown()
		<-done
	}
}

// user is middleware that knows who is there.
func user(name string) fiber.Handler {
	return func(c fiber.Ctx) error {
		c.Locals("user", name)
		return c.Next()
	}
}

// Your middleware finds the user, and every handler of the socket knows it.
func ExampleMount() {
	srv := sio.New(nil)
	srv.On("hello", sio.Reply(func(c *sio.Ctx, greeting string) (string, error) {
		return greeting + ", " + siofiberv3.Locals[string](c.Socket, "user"), nil
	}))

	app := fiber.New()
	app.Get("/ping", func(c fiber.Ctx) error { return c.SendString("pong") })
	siofiberv3.Mount(app.Group("/", user("ada")), srv)

	url, stop := run(app, srv)
	defer stop()
	client := exampletest.Connect(url + "/socket.io/")
	client.Send(`421["hello","good morning"]`)
	fmt.Println(client.Next())
	fmt.Println(exampletest.Do("GET", url+"/ping", ""))
	// Output:
	// ["good morning, ada"]
	// 200 pong
}

// A route of the application's own tells everybody in a room.
func ExampleFrom() {
	srv := sio.New(nil)
	srv.OnConnect(func(c *sio.Ctx) error { return c.Join("kitchen") })

	app := fiber.New()
	app.Use(siofiberv3.Provide(srv))
	siofiberv3.Mount(app, srv)
	app.Post("/orders/:dish", func(c fiber.Ctx) error {
		if err := siofiberv3.From(c).To("kitchen").Emit("ordered", c.Params("dish")); err != nil {
			return err
		}
		return c.SendStatus(fiber.StatusAccepted)
	})

	url, stop := run(app, srv)
	defer stop()
	client := exampletest.Connect(url + "/socket.io/")
	fmt.Println(exampletest.Do("POST", url+"/orders/soup", ""))
	fmt.Println(client.Next())
	// Output:
	// 202 Accepted
	// ["ordered","soup"]
}

// Fiber's middleware decides who may enter a namespace.
func ExampleConnect() {
	onlyAda := func(c fiber.Ctx) error {
		if c.Locals("user") != "ada" {
			return fiber.NewError(fiber.StatusForbidden, "staff only")
		}
		return c.Next()
	}
	srv := sio.New(nil)
	srv.Of("/staff").UseConnect(siofiberv3.Connect(onlyAda))

	app := fiber.New()
	siofiberv3.Mount(app.Group("/", user("bob")), srv)

	url, stop := run(app, srv)
	defer stop()
	client := exampletest.Connect(url + "/socket.io/") // to the root, where all may be
	client.Send("40/staff,")
	fmt.Println(client.Next())
	// Output:
	// /staff,{"message":"Forbidden","data":{"status":403,"body":"staff only"}}
}
