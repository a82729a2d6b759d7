package nethttp_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/nethttp"
)

// After its body was read, net/http waits for the connection's next request. If the body is
// given up then, as when another server answers first, the contexts of all further requests
// have ended. So there must be none.
func TestCancelReadClosesTheConnection(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := nethttp.New(w, r)
		if err := r.Context().Err(); err != nil {
			t.Errorf("a request begins with %v", err)
		}
		if _, err := io.ReadAll(r.Body); err != nil {
			t.Error(err)
		}
		x.CancelRead()
		<-r.Context().Done() // net/http has noticed
		if err := x.Respond(engine.Response{Status: http.StatusBadRequest}); err != nil {
			t.Error(err)
		}
	}))
	defer web.Close()
	for range 2 {
		res, err := web.Client().Post(web.URL, "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil || !res.Close {
			t.Errorf("the connection is closed: %v, %v", res.Close, err)
		}
	}
}
