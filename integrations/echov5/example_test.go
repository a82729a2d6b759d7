package sioechov5_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/labstack/echo/v5"

	sio "github.com/sioplug/sioplug/core"
	sioechov5 "github.com/sioplug/sioplug/integrations/echov5"
	"github.com/sioplug/sioplug/integrations/internal/exampletest"
)

// user is middleware that knows who is there.
func user(name string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			c.Set("user", name)
			return next(c)
		}
	}
}

// Your middleware finds the user, and every handler of the socket knows it.
func ExampleMount() {
	srv := sio.New(nil)
	srv.On("hello", sio.Reply(func(c *sio.Ctx, greeting string) (string, error) {
		name, err := sioechov5.ContextGet[string](c.Socket, "user")
		return greeting + ", " + name, err
	}))

	e := echo.New()
	e.GET("/ping", func(c *echo.Context) error { return c.String(http.StatusOK, "pong") })
	sioechov5.Mount(e.Group("", user("ada")), srv)

	web := httptest.NewServer(e)
	defer web.Close()
	client := exampletest.Connect(web.URL + "/socket.io/")
	client.Send(`421["hello","good morning"]`)
	fmt.Println(client.Next())
	fmt.Println(exampletest.Do("GET", web.URL+"/ping", ""))
	_ = srv.Shutdown(context.Background())
	// Output:
	// ["good morning, ada"]
	// 200 pong
}

// A route of the application's own tells everybody in a room.
func ExampleFrom() {
	srv := sio.New(nil)
	srv.OnConnect(func(c *sio.Ctx) error { return c.Join("kitchen") })

	e := echo.New()
	e.Use(sioechov5.Provide(srv))
	sioechov5.Mount(e, srv)
	e.POST("/orders/:dish", func(c *echo.Context) error {
		if err := sioechov5.From(c).To("kitchen").Emit("ordered", c.Param("dish")); err != nil {
			return err
		}
		return c.NoContent(http.StatusAccepted)
	})

	web := httptest.NewServer(e)
	defer web.Close()
	client := exampletest.Connect(web.URL + "/socket.io/")
	fmt.Println(exampletest.Do("POST", web.URL+"/orders/soup", ""))
	fmt.Println(client.Next())
	_ = srv.Shutdown(context.Background())
	// Output:
	// 202
	// ["ordered","soup"]
}

// Echo's middleware decides who may enter a namespace.
func ExampleConnect() {
	onlyAda := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			if c.Get("user") != "ada" {
				return echo.NewHTTPError(http.StatusForbidden, "staff only")
			}
			return next(c)
		}
	}
	srv := sio.New(nil)
	srv.Of("/staff").UseConnect(sioechov5.Connect(onlyAda))

	e := echo.New()
	sioechov5.Mount(e.Group("", user("bob")), srv)

	web := httptest.NewServer(e)
	defer web.Close()
	client := exampletest.Connect(web.URL + "/socket.io/") // to the root, where all may be
	client.Send("40/staff,")
	fmt.Println(client.Next())
	_ = srv.Shutdown(context.Background())
	// Output:
	// /staff,{"message":"Forbidden","data":{"status":403,"body":{"message":"staff only"}}}
}
