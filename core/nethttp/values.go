package nethttp

import (
	"context"
	"net/http"
	"reflect"
	"strings"
)

// PathValue returns a parameter of the route of a request, by the request's context. It is
// the result of [http.Request.PathValue], in routers that set it. For the request that
// opened the connection of a socket:
//
//	tenant := nethttp.PathValue(socket.Handshake().Context, "tenant")
func PathValue(ctx context.Context, name string) string {
	if r, ok := ctx.Value(pathKey{}).(*http.Request); ok {
		return r.PathValue(name)
	}
	return ""
}

type pathKey struct{}

// values returns the context of a request for a session to keep.
func values(r *http.Request) context.Context {
	ctx := context.Context(sessionContext{belowCancel(r.Context())})
	if hasPathValues(r) {
		ctx = context.WithValue(ctx, pathKey{}, route(r))
	}
	return ctx
}

// cancelType is what [context.WithCancel] returns, which has the context below in a field.
//
//nolint:gochecknoglobals // immutable
var cancelType, belowField = func() (reflect.Type, []int) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	t := reflect.TypeOf(ctx)
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return nil, nil
	}
	f, ok := t.Elem().FieldByName("Context")
	if !ok || !f.IsExported() || f.Type != reflect.TypeFor[context.Context]() {
		return nil, nil
	}
	return t, f.Index
}()

// belowCancel returns the context with the values of ctx. net/http makes one context that
// can be canceled for each connection, and one for each request. With their channels they
// take 270 bytes, which a session would keep as long as it lives.
func belowCancel(ctx context.Context) context.Context {
	if cancelType == nil || reflect.TypeOf(ctx) != cancelType {
		return ctx
	}
	below := reflect.ValueOf(ctx).Elem().FieldByIndex(belowField).Interface()
	return belowCancel(below.(context.Context)) //nolint:errcheck,forcetypeassert // the type of the field was checked
}

// hasPathValues reports whether the request's route can have parameters. If it has none,
// the path begins with the pattern. A router inside of another one may know only its own
// part of the pattern.
func hasPathValues(r *http.Request) bool {
	return r.Pattern != "" && !strings.HasPrefix(r.URL.Path, strings.TrimSuffix(r.Pattern, "*"))
}

// route returns a request with the path values of r and nothing else. Only a request can
// have path values.
func route(r *http.Request) *http.Request {
	kept := r.WithContext(context.Background())
	kept.URL, kept.Header, kept.Trailer, kept.TLS, kept.Response = nil, nil, nil, nil, nil
	kept.Body, kept.GetBody, kept.Form, kept.PostForm, kept.MultipartForm = nil, nil, nil, nil, nil
	return kept
}

// A sessionContext hides the value of chi in a context: chi uses its memory for other
// requests later.
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
