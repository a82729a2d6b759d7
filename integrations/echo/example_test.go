package sioecho_test

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	sioecho "github.com/sioplug/sioplug/integrations/echo"
	"github.com/sioplug/sioplug/internal/exampletb"
)

// user is middleware that knows who is there.
func user(name string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Set("user", name)
			return next(c)
		}
	}
}

// Your middleware finds the user, and every handler of the socket knows it.
func ExampleMount() {
	srv := sio.New(nil)
	srv.On("hello", sio.Reply(func(c *sio.Ctx, greeting string) (string, error) {
		name, err := sioecho.ContextGet[string](c.Socket, "user")
		return greeting + ", " + name, err
	}))

	e := echo.New()
	sioecho.Mount(e.Group("", user("ada")), srv)

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	d := siotest.Loopback(tb, e)
	var answer string
	d.Connect(tb, "/", nil).Ask("hello", "good morning").Bind(&answer)
	fmt.Println(answer)
	// Output: good morning, ada
}

// A route of the application's own tells everybody in a room.
func ExampleFrom() {
	srv := sio.New(nil)
	srv.OnConnect(func(c *sio.Ctx) error { return c.Join("kitchen") })

	e := echo.New()
	e.Use(sioecho.Provide(srv))
	sioecho.Mount(e, srv)
	e.POST("/orders/:dish", func(c echo.Context) error {
		if err := sioecho.From(c).To("kitchen").Emit("ordered", c.Param("dish")); err != nil {
			return err
		}
		return c.NoContent(http.StatusAccepted)
	})

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	d := siotest.Loopback(tb, e)
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

// Echo's middleware decides who may enter a namespace.
func ExampleConnect() {
	onlyAda := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if c.Get("user") != "ada" {
				return echo.NewHTTPError(http.StatusForbidden, "staff only")
			}
			return next(c)
		}
	}
	srv := sio.New(nil)
	srv.Of("/staff").UseConnect(sioecho.Connect(onlyAda))

	e := echo.New()
	sioecho.Mount(e.Group("", user("bob")), srv)

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	d := siotest.Loopback(tb, e)
	_, err := d.TryConnect(tb, "/staff", nil)
	if refused, ok := errors.AsType[*sio.Error](err); ok {
		fmt.Println(refused.Message, refused.Data)
	}
	// Output: Forbidden map[body:map[message:staff only] status:403]
}

// Another path than /socket.io/, for clients with the option path: "/live/".
func ExampleHandler() {
	srv := sio.New(nil)
	srv.On("hello", sio.Reply(func(_ *sio.Ctx, name string) (string, error) { return "Hello " + name, nil }))

	e := echo.New()
	e.Any("/live/", sioecho.Handler(srv))

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	var answer string
	siotest.Loopback(tb, e).At("/live/").Connect(tb, "/", nil).Ask("hello", "Ada").Bind(&answer)
	fmt.Println(answer)
	// Output: Hello Ada
}

// Middleware that is not for sockets, such as a check that would refuse their POSTs.
func ExampleSkipper() {
	csrf := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if c.Request().Method == http.MethodPost && !sioecho.Skipper(c) {
				return echo.ErrForbidden
			}
			return next(c)
		}
	}
	srv := sio.New(nil)
	srv.On("hello", sio.Reply(func(_ *sio.Ctx, name string) (string, error) { return "Hello " + name, nil }))

	e := echo.New()
	e.Use(csrf)
	sioecho.Mount(e, srv)

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	client := siotest.Loopback(tb, e).Polling(tb)
	client.Connect("/", "")
	client.Send(`420["hello","Ada"]`)
	fmt.Println(client.Next())
	// Output: 430["Hello Ada"]
}
