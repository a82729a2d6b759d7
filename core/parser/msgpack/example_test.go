package msgpack_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/parser/msgpack"
)

// Both encodings side by side: clients that use msgpack come by another path.
func Example() {
	echo := sio.Bind(func(c *sio.Ctx, v any) error { return c.Emit("echo", v) })
	plain := sio.New(nil)
	packed := sio.New(&sio.Options{Parser: msgpack.Parser{}})
	for _, srv := range []*sio.Server{plain, packed} {
		srv.On("echo", echo)
	}

	mux := http.NewServeMux()
	mux.Handle("/socket.io/", plain)
	mux.Handle("/packed/", packed) // io({ path: "/packed/", parser })

	_, path := mux.Handler(httptest.NewRequest(http.MethodGet, "/packed/?EIO=4&transport=polling", nil))
	fmt.Println(path)
	// Output: /packed/
}
