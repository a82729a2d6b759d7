package sioecho_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	sioecho "github.com/sioplug/sioplug/integrations/echo"
)

// mounted is what applications usually have.
func mounted(t *testing.T, opts *sio.Options) siotest.Dialer {
	t.Helper()
	_, d := serve(t, opts, func(e *echo.Echo, srv *sio.Server) {
		e.Use(middleware.Recover())
		e.GET("/other", func(c echo.Context) error { return c.String(http.StatusOK, "other") })
		sioecho.Mount(e.Group("/app"), srv)
	})
	return d
}

// get requests a path and returns the status and the body of the answer.
func get(t *testing.T, d siotest.Dialer, path string) string {
	t.Helper()
	u, err := url.Parse(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+u.Host+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	c := d.HTTP(t)
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(res.StatusCode, " ", string(body))
}

func TestPathsAndFiles(t *testing.T) {
	const handshake = "?EIO=4&transport=polling"
	d := mounted(t, &sio.Options{ClientFS: fstest.MapFS{"socket.io.min.js": {Data: []byte("code")}}})
	for path, want := range map[string]string{
		"/other":                              "200 other",
		"/app/socket.io/socket.io.min.js?v=1": "200 code",
		"/app/socket.io/socket.io.js":         `400 {"code":0,"message":"Transport unknown"}`,
		"/app/socket.io/":                     `400 {"code":0,"message":"Transport unknown"}`,
		"/app/socket.io/" + handshake:         `200 0{"sid":"`, // EIO-RT-1
		"/app/socket.io/foo/bar" + handshake:  `200 0{"sid":"`, // EIO-RT-2
		"/app/socket.io" + handshake:          `200 0{"sid":"`, // EIO-RT-4
		"/app/socket.iofoo" + handshake:       "404 ",          // EIO-RT-4, better: not a prefix
		"/socket.io/" + handshake:             "404 ",
		"/" + handshake:                       "404 ", // EIO-RT-5
	} {
		if got := get(t, d, path); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	c := d.At("/app/socket.io").Polling(t) // of clients with addTrailingSlash: false
	c.Upgrade()
	c.Connect("/", "")
}

// A POST that is broken off gets no answer that says all is well.
func TestUnfinishedPost(t *testing.T) {
	d := mounted(t, nil).At("/app/socket.io/")
	c := d.Polling(t)
	u, err := url.Parse(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := new(net.Dialer).DialContext(t.Context(), "tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	post := "POST " + u.Path + "?EIO=4&transport=polling&sid=" + c.SID() +
		" HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	if _, err := io.WriteString(nc, post+"no chunk\r\n"); err != nil { // its body fails to be read
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(nc) // a reset connection is fine, too
	if len(answer) > 0 {
		t.Errorf("EIO-POST-9: answer %q", answer)
	}
}
