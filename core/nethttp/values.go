package nethttp

import (
	"context"
	"net/http"
	"reflect"
	"strings"
)

// PathValue returns the parameter of the route by which the request came whose
// context is ctx: what [http.Request.PathValue] returned for it, in routers that
// tell net/http about their parameters. For the request that opened a socket's
// connection it is
//
//	tenant := nethttp.PathValue(socket.Handshake().Context, "tenant")
func PathValue(ctx context.Context, name string) string {
	if r, ok := ctx.Value(pathKey{}).(*http.Request); ok {
		return r.PathValue(name)
	}
	return ""
}

type pathKey struct{}

// values returns the context that a session keeps of a request.
func values(r *http.Request) context.Context {
	ctx := context.Context(sessionContext{r.Context()})
	if hasPathValues(r) {
		ctx = context.WithValue(ctx, pathKey{}, route(r))
	}
	return ctx
}

// hasPathValues reports whether the request's route can have parameters. If not,
// its pattern is what the path begins with. A router inside of another one may
// know only its own part of the pattern.
func hasPathValues(r *http.Request) bool {
	return r.Pattern != "" && !strings.HasPrefix(r.URL.Path, strings.TrimSuffix(r.Pattern, "*"))
}

// route returns a request that has nothing but the path values of r, which only
// a request can have.
func route(r *http.Request) *http.Request {
	kept := r.WithContext(context.Background())
	kept.URL, kept.Header, kept.Trailer, kept.TLS, kept.Response = nil, nil, nil, nil, nil
	kept.Body, kept.GetBody, kept.Form, kept.PostForm, kept.MultipartForm = nil, nil, nil, nil, nil
	return kept
}

// lasting hides from those who keep a context what chi has in it and uses for
// other requests later.
type sessionContext struct {
	context.Context //nolint:containedctx // it is one
}

// Value implements [context.Context].
func (c sessionContext) Value(key any) any {
	v := c.Context.Value(key)
	if t := reflect.TypeOf(v); t != nil && t.Kind() == reflect.Pointer &&
		strings.HasPrefix(t.Elem().PkgPath(), "github.com/go-chi/chi") {
		return nil
	}
	return v
}
