// Package siofiberv3 mounts a Socket.IO server into a Fiber application, version 3:
//
//	app := fiber.New()
//	siofiberv3.Mount(app, srv)
//
// Fiber's middleware runs for every HTTP request of the mount: for each poll and POST of
// a client that uses polling, once for a client that uses WebSocket. Handlers read by
// [Locals] the values that it stored on the request which opened the connection.
package siofiberv3

import (
	"cmp"
	"context"
	"net/http"
	"sync"

	"github.com/gofiber/fiber/v3"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/integrations/internal/fasthttpx"
	"github.com/sioplug/sioplug/integrations/internal/reused"
)

// path is where clients look for a server unless told otherwise.
const path = "/socket.io"

// Mount serves srv at /socket.io on an app or a group, whose prefix, parameters
// and middleware apply. For another path, route [Handler] yourself.
//
// With EnablePrefork, which runs several processes, a client's polls would come
// to processes that do not know it. Mount panics in these processes, unless
// Options.Transports has only WebSocket; Listen then returns an error.
func Mount(r fiber.Router, srv *sio.Server) {
	if app := appOf(r); app != nil {
		fasthttpx.KeepDescriptors(app.Server(), srv)
	}
	h := Handler(srv)
	r.All(path, h) // for clients with addTrailingSlash: false
	r.All(path+"/*", h)
}

// Handler returns the handler that [Mount] registers. Route it for all methods, at the
// path of the client's option path, with a slash at the end. If [sio.Options].ClientFS is
// set, route it for all paths below, too: clients find the files of the JavaScript client
// there.
func Handler(srv *sio.Server) fiber.Handler {
	if fiber.IsChild() {
		fasthttpx.RefusePrefork("siofiberv3", srv)
	}
	var once sync.Once
	filter := fasthttpx.NewFilter("siofiberv3", srv, (*fiber.DefaultCtx)(nil))
	return func(c fiber.Ctx) error {
		once.Do(func() { fasthttpx.CheckBodyLimit(c.App().Config().BodyLimit, srv) })
		fasthttpx.Serve(srv, c.RequestCtx(), fasthttpx.Framework{
			IP:      cmp.Or(c.IP(), c.RequestCtx().RemoteIP().String()), // Fiber knows none if a proxy named none
			Context: c.Context(),

			WriteTimeout: c.App().Config().WriteTimeout,
			Values: func() context.Context {
				values := request(c, filter).SavedContext()
				return context.WithValue(values, handshakeKey{}, &handshake{saveRequest(c, filter), c.App(), filter})
			},
		})
		return nil
	}
}

// A handshake is what sockets keep of the request that opened their connection.
type handshake struct {
	*fasthttpx.SavedRequest

	app    *fiber.App
	filter reused.Filter
}

type handshakeKey struct{}

func saveRequest(c fiber.Ctx, filter reused.Filter) *fasthttpx.SavedRequest {
	route := c.Route()
	param := func(name string) string { return c.Params(name) }
	return request(c, filter).Save(route.Path, route.Params, param)
}

// request is that of c. An abandoned context is not used again: parameters and what
// Path returns are strings of its memory.
func request(c fiber.Ctx, filter reused.Filter) fasthttpx.Request {
	return fasthttpx.Request{Ctx: c.RequestCtx(), User: c.Context(), Filter: filter, Detach: c.Abandon}
}

func handshakeOf(s *sio.Socket) (h *handshake, ok bool) {
	h, ok = s.Handshake().Context.Value(handshakeKey{}).(*handshake)
	return h, ok
}

// savedRequest returns the request of a socket: as its connect middleware has left it,
// or else as it was when the connection was opened.
func savedRequest(s *sio.Socket) *fasthttpx.SavedRequest {
	if connected, ok := connectedKey.Get(s); ok {
		return connected
	}
	if h, ok := handshakeOf(s); ok {
		return h.SavedRequest
	}
	return nil // from another mount
}

// Locals returns the value that Fiber's middleware stored under that key on the request
// which opened the socket's connection, or that [Connect] added. It returns the zero T if
// there is no value, or one of another type.
//
// The value may have strings of the request anywhere in it. They stay as they are: Fiber
// does not use their memory again.
//
// Some values are left out: Fiber's own objects and values with such an object in them,
// because Fiber uses them again; functions, which may use the request; and values with a
// Close method, because fasthttp closes them. The server logs each once, except Fiber's
// own objects.
func Locals[T any](s *sio.Socket, key any) T {
	v, _ := savedRequest(s).Local(key).(T)
	return v
}

// Params returns the route parameter of that name, "" if there is none.
func Params(s *sio.Socket, name string) string { return savedRequest(s).Param(name) }

// Cookies returns the cookie of that name which came with the request that
// opened the socket's connection, "" if there is none.
func Cookies(s *sio.Socket, name string) string {
	r := http.Request{Header: s.Handshake().Header}
	if c, err := r.Cookie(name); err == nil {
		return c.Value
	}
	return ""
}
