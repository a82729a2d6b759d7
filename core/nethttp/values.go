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
	ps, _ := ctx.Value(pathKey{}).(map[string]string)
	return ps[name]
}

type pathKey struct{}

// values returns the context that a session keeps of a request.
func values(r *http.Request) context.Context {
	ctx := context.Context(lasting{r.Context()})
	if ps := pathValues(r); len(ps) > 0 {
		ctx = context.WithValue(ctx, pathKey{}, ps)
	}
	return ctx
}

// pathValues returns the parameters that the request's pattern names, such as
// "/t/{tenant}/{rest...}", or {id:[0-9]+} in some routers.
func pathValues(r *http.Request) map[string]string {
	var ps map[string]string
	for rest := r.Pattern; ; {
		_, after, ok := strings.Cut(rest, "{")
		if !ok {
			return ps
		}
		rest = after
		name := after[:max(0, strings.IndexAny(after, ":.}"))]
		if v := r.PathValue(name); v != "" {
			if ps == nil {
				ps = make(map[string]string)
			}
			ps[name] = v
		}
	}
}

// lasting hides from those who keep a context what chi has in it and uses for
// other requests later.
type lasting struct {
	context.Context //nolint:containedctx // it is one
}

// Value implements [context.Context].
func (c lasting) Value(key any) any {
	v := c.Context.Value(key)
	if t := reflect.TypeOf(v); t != nil && t.Kind() == reflect.Pointer &&
		strings.HasPrefix(t.Elem().PkgPath(), "github.com/go-chi/chi") {
		return nil
	}
	return v
}
