package nethttp

import (
	"context"
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

// What a session keeps has the values of the request's context, and not the contexts of net/http
// that can be canceled.
func TestBelowCancel(t *testing.T) {
	t.Parallel()
	type key struct{}
	if cancelType == nil {
		t.Fatal("package context has changed: belowCancel does nothing any more")
	}
	inner := context.WithValue(t.Context(), key{}, "inner")
	one, cancel := context.WithCancel(inner)
	defer cancel()
	two, cancel := context.WithCancel(one)
	defer cancel()
	if got := belowCancel(two); got != inner {
		t.Errorf("got %v", got)
	}
	outer := context.WithValue(two, key{}, "outer")
	if got := belowCancel(outer); got != outer || got.Value(key{}) != "outer" {
		t.Errorf("got %v", got)
	}
	if got := belowCancel(context.Background()); got != context.Background() {
		t.Errorf("got %v", got)
	}
}
