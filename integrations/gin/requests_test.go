package siogin_test

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	siogin "github.com/sioplug/sioplug/integrations/gin"
)

// mounted is what applications usually have.
func mounted(t *testing.T) siotest.Dialer {
	t.Helper()
	_, d := serve(t, nil, func(r *gin.Engine, srv *sio.Server) {
		r.Use(gin.RecoveryWithWriter(t.Output()))
		siogin.Mount(r, srv)
	})
	return d
}

func fetch(t *testing.T, d siotest.Dialer, path string) (int, string) {
	t.Helper()
	target := strings.Replace(d.Endpoint("EIO", "4", "transport", "polling"), "/socket.io/", path, 1)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
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
	return res.StatusCode, string(body)
}

func TestTrailingSlash(t *testing.T) {
	d := mounted(t)
	for path, want := range map[string]int{
		"/socket.io/":        http.StatusOK,       // EIO-RT-1
		"/socket.io/foo/bar": http.StatusOK,       // EIO-RT-2
		"/socket.io":         http.StatusOK,       // EIO-RT-4
		"/socket.iofoo":      http.StatusNotFound, // EIO-RT-4, better: not a prefix
		"/":                  http.StatusNotFound, // EIO-RT-5
	} {
		t.Run(path, func(t *testing.T) {
			if got, _ := fetch(t, d, path); got != want {
				t.Errorf("status %d, want %d", got, want)
			}
		})
	}
}

// A POST that is broken off gets no answer, although Gin recovers from panics,
// and says 200 where nobody says anything.
func TestUnfinishedPost(t *testing.T) {
	d := mounted(t)
	_, open := fetch(t, d, "/socket.io/")
	sid := strings.Split(open, `"`)[3]
	u, err := url.Parse(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	post := "POST /socket.io/?EIO=4&transport=polling&sid=" + sid +
		" HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	if _, err := io.WriteString(nc, post+"no chunk\r\n"); err != nil { // its body fails to be read
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(nc) // a reset connection is fine, too
	if len(answer) > 0 {
		t.Errorf("EIO-POST-9: answer %q", answer)
	}
}
