package fasthttpx

import (
	"bytes"
	"context"
	"net"
	"reflect"
	"strings"

	"github.com/valyala/fasthttp"
)

// A Snapshot is what stays of a request for the handlers of its socket: copies.
type Snapshot struct {
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

// Take copies what the framework's handlers have left in ctx, and the
// parameters of its route. A framework's own name for what "*" stands for is
// not a parameter of the application.
func Take(ctx *fasthttp.RequestCtx, route string, names []string, value func(name string) string) *Snapshot {
	s := &Snapshot{Route: strings.Clone(route), RemoteAddr: ctx.RemoteAddr()}
	for _, name := range names {
		if !strings.HasPrefix(name, "*") {
			s.params = append(s.params, param{name, strings.Clone(value(name))})
		}
	}
	ctx.VisitUserValuesAll(func(key, value any) {
		if v, ok := keep(value); ok {
			s.locals = append(s.locals, local{key, v})
		}
	})
	return s
}

// keep returns what can be kept of a local value. Strings of a request are
// memory that fasthttp uses again, and so are the objects that the framework
// itself keeps there. What the application put there is its own.
func keep(value any) (any, bool) {
	switch v := value.(type) {
	case string:
		return strings.Clone(v), true
	case []byte:
		return bytes.Clone(v), true
	case context.Context:
		return nil, false // see Values
	}
	t := reflect.TypeOf(value)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	pkg := t.PkgPath()
	if strings.HasPrefix(pkg, "github.com/gofiber/fiber/") || strings.HasPrefix(pkg, "github.com/valyala/fasthttp") {
		return nil, false
	}
	return value, true
}

// Restore gives ctx the local values.
func (s *Snapshot) Restore(ctx *fasthttp.RequestCtx) {
	for _, l := range s.locals {
		ctx.SetUserValue(l.key, l.value)
	}
}

// Local returns the local value of that key, nil if there is none.
func (s *Snapshot) Local(key any) any {
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
func (s *Snapshot) Param(name string) string {
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

// Lasting returns a context with the values of the one that the application
// made for the request, or with none if that has them from fasthttp's: they
// would be another request's soon.
func Lasting(user context.Context, ctx *fasthttp.RequestCtx) context.Context {
	ctx.SetUserValue(mark{}, true)
	defer ctx.RemoveUserValue(mark{})
	if user.Value(mark{}) != nil {
		return context.Background()
	}
	return context.WithoutCancel(user)
}
