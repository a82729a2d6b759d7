package nethttp

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

func TestRequestURI(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/", "/a?x=1", "/a?", "/a??", "/a%20b?x=%20", "/a%2Fb?x", "/a?x#y", "//a?b", "/%3F?x", `/"?x`} {
		r := httptest.NewRequest(http.MethodGet, "http://a.test"+target, nil)
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatal(err)
		}
		r.URL, r.RequestURI = u, target
		if got, want := requestURI(r), r.URL.RequestURI(); got != want {
			t.Errorf("%q: %q, want %q", target, got, want)
		}
		r.URL.Path = "/changed"
		r.URL.RawPath = ""
		if got, want := requestURI(r), r.URL.RequestURI(); got != want {
			t.Errorf("changed %q: %q, want %q", target, got, want)
		}
	}
}
