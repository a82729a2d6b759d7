package siogin_test

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	siogin "github.com/sioplug/sioplug/integrations/gin"
	"github.com/sioplug/sioplug/internal/exampletb"
)

// Your middleware finds the user, and every handler of the socket knows it.
func ExampleMount() {
	srv := sio.New(nil)
	srv.On("hello", sio.Reply(func(c *sio.Ctx, greeting string) (string, error) {
		return greeting + ", " + siogin.Context(c.Socket).GetString("user"), nil
	}))

	r := gin.New()
	siogin.Mount(r.Group("/", func(c *gin.Context) { c.Set("user", "ada") }), srv)

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	d := siotest.Loopback(tb, r)
	var answer string
	d.Connect(tb, "/", nil).Ask("hello", "good morning").Bind(&answer)
	fmt.Println(answer)
	// Output: good morning, ada
}

// A route of the application's own tells everybody in a room.
func ExampleFrom() {
	srv := sio.New(nil)
	srv.OnConnect(func(c *sio.Ctx) error { return c.Join("kitchen") })

	r := gin.New()
	r.Use(siogin.Provide(srv))
	siogin.Mount(r, srv)
	r.POST("/orders/:dish", func(c *gin.Context) {
		if err := siogin.From(c).To("kitchen").Emit("ordered", c.Param("dish")); err != nil {
			c.AbortWithStatus(http.StatusInternalServerError)
			return
		}
		c.Status(http.StatusAccepted)
	})

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	d := siotest.Loopback(tb, r)
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

// Gin's middleware decides who may enter a namespace.
func ExampleConnect() {
	onlyAda := func(c *gin.Context) {
		if c.GetString("user") != "ada" {
			c.AbortWithStatusJSON(http.StatusForbidden, gin.H{"error": "staff only"})
		}
	}
	srv := sio.New(nil)
	srv.Of("/staff").UseConnect(siogin.Connect(onlyAda))

	r := gin.New()
	siogin.Mount(r.Group("/", func(c *gin.Context) { c.Set("user", "bob") }), srv)

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	d := siotest.Loopback(tb, r)
	_, err := d.TryConnect(tb, "/staff", nil)
	if refused, ok := errors.AsType[*sio.Error](err); ok {
		fmt.Println(refused.Message, refused.Data)
	}
	// Output: Forbidden map[body:map[error:staff only] status:403]
}

// Another path than /socket.io/, for clients with the option path: "/live/".
func ExampleHandler() {
	srv := sio.New(nil)
	srv.On("hello", sio.Reply(func(_ *sio.Ctx, name string) (string, error) { return "Hello " + name, nil }))

	r := gin.New()
	r.Any("/live/", siogin.Handler(srv))

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	var answer string
	siotest.Loopback(tb, r).At("/live/").Connect(tb, "/", nil).Ask("hello", "Ada").Bind(&answer)
	fmt.Println(answer)
	// Output: Hello Ada
}
