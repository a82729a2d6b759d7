package siogin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gin-gonic/gin"

	sio "github.com/sioplug/sioplug/core"
	siogin "github.com/sioplug/sioplug/integrations/gin"
	"github.com/sioplug/sioplug/integrations/internal/exampletest"
)

// Your middleware finds the user, and every handler of the socket knows it.
func ExampleMount() {
	srv := sio.New(nil)
	srv.On("hello", sio.Reply(func(c *sio.Ctx, greeting string) (string, error) {
		return greeting + ", " + siogin.Context(c.Socket).GetString("user"), nil
	}))

	r := gin.New()
	r.GET("/ping", func(c *gin.Context) { c.String(http.StatusOK, "pong") })
	siogin.Mount(r.Group("/", func(c *gin.Context) { c.Set("user", "ada") }), srv)

	web := httptest.NewServer(r)
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

	web := httptest.NewServer(r)
	defer web.Close()
	client := exampletest.Connect(web.URL + "/socket.io/")
	fmt.Println(exampletest.Do("POST", web.URL+"/orders/soup", ""))
	fmt.Println(client.Next())
	_ = srv.Shutdown(context.Background())
	// Output:
	// 202
	// ["ordered","soup"]
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

	web := httptest.NewServer(r)
	defer web.Close()
	client := exampletest.Connect(web.URL + "/socket.io/") // to the root, where all may be
	client.Send("40/staff,")
	fmt.Println(client.Next())
	_ = srv.Shutdown(context.Background())
	// Output:
	// /staff,{"message":"Forbidden","data":{"status":403,"body":{"error":"staff only"}}}
}
