package fasthttpx

import (
	"bytes"
	"context"
	"io"
	"net"
	"reflect"
	"strings"

	"github.com/valyala/fasthttp"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/integrations/internal/reused"
)

// A SavedRequest has what handlers of a socket need of its request: copies.
type SavedRequest struct {
	// Route is the path of the route, as it was registered.
	Route string

	// RemoteAddr is where the connection came from: a proxy's address, if there
	// is one.
	RemoteAddr net.Addr

	params []param
	locals []local
}

type param struct{ key, value string }

type local struct{ key, value any }

// NewFilter returns the filter of a mount. contexts are the framework's own, as
// pointers; fasthttp's is among them anyway.
func NewFilter(integration string, srv *sio.Server, contexts ...any) reused.Filter {
	finder := reused.New(integration, reused.Fiber, append(contexts, (*fasthttp.RequestCtx)(nil))...)
	log := srv.Options().Logger
	filter := finder.Filter(log)
	return func(value, where any) bool {
		if !filter(value, where) {
			return false
		}
		_, closes := value.(io.Closer)
		if closes {
			finder.Refuse(value, where, "fasthttp closes it when the request has been answered", log)
		}
		return !closes
	}
}

// A Request is one that opens a session, or has middleware run for a connect.
type Request struct {
	Ctx    *fasthttp.RequestCtx
	User   context.Context //nolint:containedctx // that of the application
	Filter reused.Filter

	// Detach leaves the framework's own memory of the request to the socket, as [Detach] does.
	Detach func()
}

// Save returns what the framework's handlers have left in the request, and the
// parameters of its route. A framework's own name for what "*" stands for is not a
// parameter of the application.
//
// From then on the memory of the request is the socket's, unless all that was left has
// been copied: strings and numbers, as is common.
func (r Request) Save(route string, names []string, value func(name string) string) *SavedRequest {
	s := &SavedRequest{Route: strings.Clone(route), RemoteAddr: r.Ctx.RemoteAddr()}
	for _, name := range names {
		if !strings.HasPrefix(name, "*") {
			s.params = append(s.params, param{name, strings.Clone(value(name))})
		}
	}
	copied := r.User == context.Background()
	r.Ctx.VisitUserValuesAll(func(key, value any) {
		if r.isUser(value) || !r.Filter(value, key) {
			return
		}
		k, plainKey := clone(key)
		v, plain := clone(value)
		copied = copied && plainKey && plain
		s.locals = append(s.locals, local{k, v})
	})
	if !copied {
		r.Detach()
		Detach(r.Ctx)
	}
	return s
}

// isUser reports whether a value is the context of the application, which frameworks
// keep among their values: see SavedContext.
func (r Request) isUser(value any) bool {
	return reflect.ValueOf(value).Comparable() && value == r.User
}

// clone returns a value, or a copy of it that has no memory of a request, and whether
// it is one.
func clone(value any) (v any, own bool) {
	switch v := value.(type) {
	case string:
		return strings.Clone(v), true
	case []byte:
		return bytes.Clone(v), true
	}
	t := reflect.TypeOf(value)
	number := t.Kind() >= reflect.Bool && t.Kind() <= reflect.Complex128
	return value, number || t.Size() == 0
}

// Restore gives ctx the local values.
func (s *SavedRequest) Restore(ctx *fasthttp.RequestCtx) {
	for _, l := range s.locals {
		ctx.SetUserValue(l.key, l.value)
	}
}

// Local returns the local value of that key, nil if there is none.
func (s *SavedRequest) Local(key any) any {
	if s == nil {
		return nil
	}
	for _, l := range s.locals {
		if l.key == key {
			return l.value
		}
	}
	return nil
}

// Param returns the route parameter of that name, "" if there is none.
func (s *SavedRequest) Param(name string) string {
	if s == nil {
		return ""
	}
	for _, p := range s.params {
		if strings.EqualFold(p.key, name) {
			return p.value
		}
	}
	return ""
}

// mark is the key of a value by which a context is recognized as fasthttp's.
type mark struct{}

// SavedContext returns a context with the values of the one that the application made for
// the request. It has none if that has values of fasthttp's own context, or anything
// else that cannot be kept: they would be another request's soon.
func (r Request) SavedContext() context.Context {
	user := r.Filter.Context(r.User)
	r.Ctx.SetUserValue(mark{}, true)
	defer r.Ctx.RemoveUserValue(mark{})
	if user.Value(mark{}) != nil {
		return context.Background()
	}
	return context.WithoutCancel(user)
}
