package nethttp_test

import (
	"fmt"
	"net/http"

	"github.com/go-chi/chi/v5"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/nethttp"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/exampletb"
)

// Parameters of the route are there in every handler.
func ExamplePathValue() {
	srv := sio.New(nil)
	srv.On("where", func(c *sio.Ctx) error {
		return c.Ack(nethttp.PathValue(c.Handshake().Context, "tenant"))
	})

	mux := http.NewServeMux()
	mux.Handle("/t/{tenant}/socket.io/", srv)

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	var tenant string
	siotest.Pipes(tb, mux).At("/t/acme/socket.io/").Connect(tb, "/", nil).Ask("where").Bind(&tenant)
	fmt.Println(tenant)
	// Output: acme
}

// Groups of chi's, with their middleware, are around the server as around any
// http.Handler.
func ExamplePathValue_chi() {
	srv := sio.New(nil)
	srv.On("who", func(c *sio.Ctx) error {
		ctx := c.Handshake().Context
		return c.Ack(ctx.Value(userKey{}), nethttp.PathValue(ctx, "tenant"))
	})

	router := chi.NewRouter()
	router.Route("/t/{tenant}", func(r chi.Router) {
		r.Use(signIn) // which keeps the header X-User in the request's context
		r.Handle("/socket.io/*", srv)
	})

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	d := siotest.Pipes(tb, router).At("/t/acme/socket.io/")
	d.Header = http.Header{"X-User": {"ada"}}
	var user, tenant string
	d.Connect(tb, "/", nil).Ask("who").Bind(&user, &tenant)
	fmt.Println(user, "at", tenant)
	// Output: ada at acme
}
