package forward_test

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/adapters/cluster/forward"
)

// request makes a request of a polling client and returns the status and the body.
func (s *node) request(t *testing.T, method, sid, body string, header http.Header) (status int, text string, answered http.Header) {
	t.Helper()
	q := url.Values{"EIO": {"4"}, "transport": {"polling"}}
	if sid != "" {
		q.Set("sid", sid)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.web.URL+"/socket.io/?"+q.Encode(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	return send(t, s.web.Client(), req)
}

// send makes a request. A status of 0 means that there was no answer.
func send(t *testing.T, c *http.Client, req *http.Request) (status int, text string, answered http.Header) {
	t.Helper()
	res, err := c.Do(req)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error(), nil
	}
	return res.StatusCode, string(all), res.Header
}

// open opens a session and connects it to the root namespace. The answer to that is not read.
func (s *node) open(t *testing.T) (sid string) {
	t.Helper()
	status, text, _ := s.request(t, http.MethodGet, "", "", nil)
	_, rest, found := strings.Cut(text, `"sid":"`)
	if !found {
		t.Fatalf("%d %s", status, text)
	}
	sid, _, _ = strings.Cut(rest, `"`)
	s.want(t, http.MethodPost, sid, "40", "200 ok")
	return sid
}

// want makes a request and checks the answer.
func (s *node) want(t *testing.T, method, sid, body, want string) {
	t.Helper()
	status, text, _ := s.request(t, method, sid, body, nil)
	if got := strings.TrimSpace(strconv.Itoa(status) + " " + text); got != want {
		t.Errorf("%s: got %q, want %q", method, got, want)
	}
}

// wantStats checks the figures of a router, when no request is on its way any more.
func (s *node) wantStats(t *testing.T, want forward.Stats) {
	t.Helper()
	eventually(t, "nothing is forwarded", func() bool { return s.router.Stats().Pending == want.Pending })
	if got := s.router.Stats(); got != want {
		t.Errorf("%s: %+v, want %+v", s.id, got, want)
	}
}
