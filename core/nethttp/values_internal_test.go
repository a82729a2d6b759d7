package nethttp

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// A session keeps the values of a request's context, and not what ends it.
func TestValuesWithoutCancel(t *testing.T) {
	t.Parallel()
	type key struct{}
	ctx, end := context.WithCancel(context.WithValue(context.Background(), key{}, "value"))
	defer end()
	inner, endInner := context.WithCancel(ctx)
	defer endInner()
	got := values(httptest.NewRequestWithContext(inner, http.MethodGet, "/", nil))
	if v := got.Value(key{}); v != "value" {
		t.Errorf("the value is %v", v)
	}
	if got.Done() != nil {
		t.Error("the context can end: has package context no field Context any more?")
	}
}

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
