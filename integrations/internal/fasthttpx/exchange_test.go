package fasthttpx //nolint:testpackage // it is about what is not exported

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"

	sio "github.com/sioplug/sioplug/core"
)

// A body that is refused before it is read must not be taken for more requests:
// behind a proxy they could be answered to somebody else.
func TestBodiesThatAreNotReadAreNoRequests(t *testing.T) {
	srv := sio.New(nil)
	defer srv.Shutdown(context.Background()) //nolint:errcheck // without a deadline it cannot fail
	var requests atomic.Int32
	web := &fasthttp.Server{StreamRequestBody: true, Handler: func(ctx *fasthttp.RequestCtx) {
		requests.Add(1)
		Serve(srv, ctx, Framework{
			IP: "192.0.2.1", Context: context.Background(), Values: context.Background,
		})
	}}
	l := fasthttputil.NewInmemoryListener()
	served := make(chan error, 1)
	go func() { served <- web.Serve(l) }()
	defer func() {
		_ = l.Close()
		<-served //nolint:errcheck // it was stopped
	}()
	const hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, tt := range map[string]struct {
		target, body string
		want         string
		keeps        bool // the connection
	}{
		"refused": {"/?EIO=4&transport=polling&sid=unknown", strings.Repeat(hidden, 1000), "Session ID unknown", false},
		"no body": {"/?EIO=4&transport=polling&sid=unknown", "", "Session ID unknown", true},
	} {
		t.Run(name, func(t *testing.T) {
			requests.Store(0)
			c, err := l.Dial()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			go func() { // the server may not read all of it
				_, _ = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", tt.target, len(tt.body), tt.body)
			}()
			r := bufio.NewReader(c)
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if err != nil || !strings.Contains(string(body), tt.want) {
				t.Errorf("answer: %d %s, %v", res.StatusCode, body, err)
			}
			if res.Close == tt.keeps {
				t.Errorf("the connection is closed: %t", res.Close)
			}
			if !tt.keeps {
				if more, _ := io.ReadAll(r); len(more) > 0 {
					t.Errorf("more came: %.200s", more)
				}
			}
			if n := requests.Load(); n != 1 {
				t.Errorf("%d requests were taken out of one", n)
			}
		})
	}
}
