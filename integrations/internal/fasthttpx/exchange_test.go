package fasthttpx //nolint:testpackage // it is about what is not exported

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
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

// A request has what the client sent, in memory of its own: fasthttp reads the next one into
// the same buffers.
func TestRequestsAreCopies(t *testing.T) {
	for _, tt := range []struct {
		raw              string
		path, uri, query string
		host             string
		header           http.Header
	}{
		{
			"GET /socket.io/?EIO=4&sid=a HTTP/1.1\r\nHost: chat.example\r\nUser-Agent: a\r\n\r\n",
			"/socket.io/", "/socket.io/?EIO=4&sid=a", "a", "chat.example",
			http.Header{"User-Agent": {"a"}},
		},
		{
			"POST /a%20b/?sid=x%3Fy?z HTTP/1.1\r\nhost: b\r\nx-own: 1\r\nX-Own: 2\r\nX-Empty:\r\nX-Own: 3\r\nCookie: a=b\r\nContent-Length: 0\r\n\r\n",
			"/a b/", "/a%20b/?sid=x%3Fy?z", "x?y?z", "b",
			http.Header{"X-Own": {"1", "2", "3"}, "X-Empty": {""}, "Cookie": {"a=b"}, "Content-Length": {"0"}},
		},
		{"GET /a//b/../c HTTP/1.1\r\nHost: c\r\n\r\n", "/a/c", "/a//b/../c", "", "c", http.Header{}},
		{"GET http://d/e?sid=f HTTP/1.1\r\nHost: d\r\n\r\n", "/e", "http://d/e?sid=f", "f", "d", http.Header{}},
	} {
		var ctx fasthttp.RequestCtx
		read := func(raw string) {
			if err := ctx.Request.Read(bufio.NewReader(strings.NewReader(raw))); err != nil {
				t.Fatal(err)
			}
		}
		read(tt.raw)
		req := request(&ctx, "192.0.2.1")
		read("PATCH /" + strings.Repeat("#", 200) + " HTTP/1.1\r\nHost: ######\r\n" + strings.Repeat("A#: ####\r\n", 20) + "Content-Length: 0\r\n\r\n")
		method, _, _ := strings.Cut(tt.raw, " ")
		if req.Method != method || req.Path != tt.path || req.URI != tt.uri || req.Query.Get("sid") != tt.query || req.Host != tt.host {
			t.Errorf("got %+v, want %+v", req, tt)
		}
		if !reflect.DeepEqual(req.Header, tt.header) {
			t.Errorf("%s: headers %q, want %q", tt.uri, req.Header, tt.header)
		}
	}
}
