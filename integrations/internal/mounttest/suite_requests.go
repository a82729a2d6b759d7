package mounttest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

func nothing(*sio.Server) {}

// Paths tests which paths a mount answers, and that it serves the JavaScript client. An
// answer that has to be whole ends with "$".
func (f Framework) Paths(t *testing.T) {
	t.Helper()
	const handshake = "?EIO=4&transport=polling"
	files := fstest.MapFS{"socket.io.min.js": {Data: []byte("code")}}
	_, d := f.serve(t, &sio.Options{ClientFS: files}, App{Group: "/app"}, nothing)
	for path, want := range map[string]string{
		"/other":                              "200 other$",
		"/app/socket.io/socket.io.min.js?v=1": "200 code$",
		"/app/socket.io/socket.io.js":         `400 {"code":0,"message":"Transport unknown"}$`,
		"/app/socket.io/":                     `400 {"code":0,"message":"Transport unknown"}$`,
		"/app/socket.io":                      `400 {"code":0,"message":"Transport unknown"}$`,
		"/app/socket.io/" + handshake:         `200 0{"sid":"`, // EIO-RT-1
		"/app/socket.io/foo/bar" + handshake:  `200 0{"sid":"`, // EIO-RT-2
		"/app/socket.io" + handshake:          `200 0{"sid":"`, // EIO-RT-4
		"/app/socket.iofoo" + handshake:       f.NotFound,      // EIO-RT-4, better: not a prefix
		"/socket.io/" + handshake:             f.NotFound,
		"/" + handshake:                       f.NotFound, // EIO-RT-5
	} {
		if got := get(t, d, path) + "$"; !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	c := d.At("/app/socket.io").Polling(t) // of clients with addTrailingSlash: false
	c.Upgrade()
	c.Connect("/", "")
}

// get requests a path and returns the status and the body of the answer.
func get(t *testing.T, d siotest.Dialer, path string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.At("/").URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Path, r.URL.RawQuery, _ = strings.Cut(path, "?")
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

// UnfinishedPost tests that a POST that is broken off gets no answer that says all is
// well. Most servers give none; answered says that this one does.
func (f Framework) UnfinishedPost(t *testing.T, answered bool) {
	t.Helper()
	_, d := f.serve(t, nil, App{}, nothing)
	c := d.Polling(t)
	nc, path := dial(t, d)
	post := "POST " + path + "?EIO=4&transport=polling&sid=" + c.SID() +
		" HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	if _, err := io.WriteString(nc, post+"no chunk\r\n"); err != nil { // its body fails to be read
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(nc) // a reset connection is fine, too
	if strings.Contains(string(answer), " 200 ") || len(answer) > 0 && !answered {
		t.Errorf("EIO-POST-9: answer %q", answer)
	}
}

// dial returns a connection to a server without TLS, and the path of its mount.
func dial(t *testing.T, d siotest.Dialer) (nc net.Conn, path string) {
	t.Helper()
	u, err := url.Parse(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	nc, err = new(net.Dialer).DialContext(t.Context(), "tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return nc, u.Path
}

// An answer is what came back from a request.
type answer struct {
	status int
	header http.Header
	body   string
}

// exchange sends a request with these lines of headers, and returns the answer.
func exchange(t *testing.T, d siotest.Dialer, method, query string, header ...string) answer {
	t.Helper()
	nc, path := dial(t, d)
	request := method + " " + path + "?" + query + " HTTP/1.1\r\nHost: a\r\n" + strings.Join(header, "\r\n") + "\r\n\r\n"
	if _, err := io.WriteString(nc, request); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}
