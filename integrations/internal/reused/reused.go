// Package reused finds the objects that a web framework uses for one request after
// another, such as its contexts, in what middleware has left for the handlers of a
// socket. A socket outlives its request: whoever kept such an object would read what
// the next request has, which may be another user's.
package reused

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// Types are those of a framework's objects, as "import/path.Name". They are immutable.
type Types []string

// Fiber are the types of Fiber and of fasthttp below it; Gin and Echo likewise.
//
//nolint:gochecknoglobals // constants
var (
	Fiber = Types{
		"github.com/gofiber/fiber/v2.Ctx",
		"github.com/gofiber/fiber/v2/middleware/session.Session",
		"github.com/gofiber/fiber/v3.Ctx",
		"github.com/gofiber/fiber/v3.CustomCtx",
		"github.com/gofiber/fiber/v3.DefaultCtx",
		"github.com/gofiber/fiber/v3.DefaultReq",
		"github.com/gofiber/fiber/v3.DefaultRes",
		"github.com/gofiber/fiber/v3.Req",
		"github.com/gofiber/fiber/v3.Res",
		"github.com/gofiber/fiber/v3.Bind",
		"github.com/gofiber/fiber/v3.Redirect",
		"github.com/gofiber/fiber/v3/middleware/session.Middleware",
		"github.com/gofiber/fiber/v3/middleware/session.Session",
		"github.com/valyala/fasthttp.Args",
		"github.com/valyala/fasthttp.Cookie",
		"github.com/valyala/fasthttp.Request",
		"github.com/valyala/fasthttp.RequestCtx",
		"github.com/valyala/fasthttp.RequestHeader",
		"github.com/valyala/fasthttp.Response",
		"github.com/valyala/fasthttp.ResponseHeader",
		"github.com/valyala/fasthttp.URI",
	}
	Gin = Types{
		"github.com/gin-gonic/gin.Context",
		"github.com/gin-gonic/gin.ResponseWriter",
		"github.com/gin-gonic/gin.responseWriter",
	}
	Echo = Types{
		"github.com/labstack/echo/v4.Context",
		"github.com/labstack/echo/v4.Response",
		"github.com/labstack/echo/v4.context",
		"github.com/labstack/echo/v5.Context",
		"github.com/labstack/echo/v5.Response",
	}
)

// A Finder looks for objects of one framework. It is safe for concurrent use.
type Finder struct {
	name  string // of the integration, for the log
	types Types
	ctx   []reflect.Type // what a field of an interface's type can hold

	of   sync.Map // reflect.Type to what is known of it
	told sync.Map // what has been logged
}

// New returns a finder for the integration of that name. contexts are pointers to the
// framework's own contexts, which need no value.
func New(name string, types Types, contexts ...any) *Finder {
	f := &Finder{name: name, types: types}
	for _, c := range contexts {
		f.ctx = append(f.ctx, reflect.TypeOf(c))
	}
	return f
}

// A Filter says whether a socket may keep a value that was left under a key.
type Filter func(value, where any) bool

// Filter returns the filter of a mount, whose server logs to log.
func (f *Finder) Filter(log *slog.Logger) Filter {
	return func(value, where any) bool { return f.Allows(value, where, log) }
}

// Context returns what can be kept of the context of a request: it, or one without
// values.
func (k Filter) Context(ctx context.Context) context.Context {
	if k(ctx, "the context of the request") {
		return ctx
	}
	return context.Background()
}

// Allows reports whether a socket may keep a value that middleware has left under a key.
// Otherwise the log says once what to do instead, unless the value is one of the
// framework's own objects, which is there in every request.
func (f *Finder) Allows(value, where any, log *slog.Logger) bool {
	t := reflect.TypeOf(value)
	if t == nil {
		return true
	}
	if f.own(t) {
		return false
	}
	held, bad := f.find(value)
	if bad {
		f.Refuse(value, where, held, log)
	}
	return !bad
}

// Refuse logs, once for each type and key, why a value is not kept.
func (f *Finder) Refuse(value, where any, because string, log *slog.Logger) {
	t := reflect.TypeOf(value)
	if _, again := f.told.LoadOrStore(fmt.Sprint(where, " ", t), true); !again {
		log.Error("a value of the request is not kept for its socket, which outlives the request: "+
			"leave copies of what handlers need instead",
			slog.String("mount", f.name), slog.Any("where", where), slog.String("type", t.String()), slog.String("because", because))
	}
}

// own reports whether a type is one of the framework's objects, or points to one.
func (f *Finder) own(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return f.is(t)
}

func (f *Finder) is(t reflect.Type) bool {
	return t.Name() != "" && slices.Contains(f.types, t.PkgPath()+"."+t.Name())
}

// find looks for the framework's objects in a value. A function is one, too, for all
// that one can tell: it may have the context of the request in it.
func (f *Finder) find(value any) (what string, found bool) {
	v := reflect.ValueOf(value)
	if v.Kind() == reflect.Func && !v.IsNil() {
		return aFunction, true
	}
	w := walk{f: f, left: maxValues}
	w.value(v)
	return w.what, w.what != ""
}

const (
	aFunction = "it is a function, which may use the request"

	// maxValues is how many values are looked at in one that was left.
	maxValues = 500
)

// A walk is through one value.
type walk struct {
	f    *Finder
	seen map[uintptr]bool // pointers
	left int
	what string // was found
}

func (w *walk) value(v reflect.Value) {
	w.left--
	if w.what != "" || w.left < 0 || !v.IsValid() {
		return
	}
	t := v.Type()
	if w.f.know(t) == harmless {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		w.pointer(v)
	case reflect.Interface:
		if e := v.Elem(); e.IsValid() {
			w.value(e)
		}
	case reflect.Struct:
		w.fields(v)
	case reflect.Slice, reflect.Array:
		for i := range min(v.Len(), maxValues) {
			w.value(v.Index(i))
		}
	case reflect.Map, reflect.Chan: // they may be in use, and looking into them would be a race
		if w.f.know(t) == harmful && (v.Kind() == reflect.Chan || v.Len() > 0) {
			w.what = "it has " + t.String()
		}
	default:
	}
}

func (w *walk) pointer(v reflect.Value) {
	switch {
	case v.IsNil() || w.seen[v.Pointer()]:
	case w.f.is(v.Type().Elem()):
		w.what = "it has a " + v.Type().String()
	default:
		if w.seen == nil {
			w.seen = make(map[uintptr]bool)
		}
		w.seen[v.Pointer()] = true
		w.value(v.Elem())
	}
}

func (w *walk) fields(v reflect.Value) {
	t := v.Type()
	if w.f.is(t) {
		w.what = "it has a " + t.String()
		return
	}
	least := open
	if shared(t) {
		least = harmful
	}
	for i := range t.NumField() {
		field := v.Field(i)
		if t.PkgPath() == "context" && t.Field(i).Name == "val" && field.Elem().Kind() == reflect.Func {
			w.what = aFunction
		}
		if w.f.know(field.Type()) >= least {
			w.value(field)
		}
	}
}

// What is known of a type.
type knowledge int

const (
	harmless knowledge = iota // no value of it leads to the framework's objects
	open                      // one may, by an interface
	harmful                   // one does, unless there is nil on the way
)

// know returns what is known of a type. That is found out once for each.
func (f *Finder) know(t reflect.Type) knowledge {
	if k, ok := f.of.Load(t); ok {
		return k.(knowledge) //nolint:forcetypeassert,errcheck // nothing else is stored
	}
	k := f.learn(t, make(map[reflect.Type]bool))
	f.of.Store(t, k)
	return k
}

func (f *Finder) learn(t reflect.Type, seen map[reflect.Type]bool) knowledge {
	switch {
	case seen[t]:
		return harmless // whoever is asking knows the rest
	case f.is(t):
		return harmful
	case closed(t):
		return harmless
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
		if slices.ContainsFunc(f.ctx, func(c reflect.Type) bool { return c.Implements(t) }) {
			return open
		}
		return harmless
	case reflect.Map:
		return max(f.learn(t.Key(), seen), f.learn(t.Elem(), seen))
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Chan:
		return f.learn(t.Elem(), seen)
	case reflect.Struct:
		return f.learnFields(t, seen)
	default:
		return harmless
	}
}

// learnFields is learn for a struct. One that has a lock is shared with others, so
// that what may change in it must not be looked at: see fields.
func (f *Finder) learnFields(t reflect.Type, seen map[reflect.Type]bool) knowledge {
	k := harmless
	for field := range t.Fields() {
		k = max(k, f.learn(field.Type, seen))
	}
	if k == open && shared(t) {
		return harmless
	}
	return k
}

// shared reports whether a struct has a lock. The standard contexts have some, but
// their parents and values never change.
func shared(t reflect.Type) bool {
	if t.PkgPath() == "context" {
		return false
	}
	for field := range t.Fields() {
		if locks(field.Type) {
			return true
		}
	}
	return false
}

func locks(t reflect.Type) bool { return t.PkgPath() == "sync" || t.PkgPath() == "sync/atomic" }

// closed reports whether nobody has to look into a type: a lock, something of a
// framework, which knows itself what it uses again, or of ours, which has copies.
func closed(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	pkg := t.PkgPath()
	return locks(t) || slices.Contains(ours(), pkg) || slices.ContainsFunc([]string{
		"github.com/gofiber/fiber/", "github.com/valyala/fasthttp", "github.com/gin-gonic/gin", "github.com/labstack/echo/",
	}, func(framework string) bool { return strings.HasPrefix(pkg, framework) })
}

func ours() []string {
	const module = "github.com/sioplug/sioplug/"
	return []string{
		module + "core", module + "core/nethttp", module + "integrations/gin", module + "integrations/echo",
		module + "integrations/echov5", module + "integrations/fiber", module + "integrations/fiberv3",
	}
}
