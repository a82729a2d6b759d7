package nethttp_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

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

// Middleware finds the writer below others, for example to ask which one it is.
func ExampleUnwrap() {
	type logging struct{ http.ResponseWriter }

	below := httptest.NewRecorder()
	w := logging{below}
	fmt.Println(nethttp.Unwrap(w) == below)
	// Output: true
}
