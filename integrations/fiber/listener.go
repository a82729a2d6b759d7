package siofiber

import (
	"net"
	"reflect"

	"github.com/gofiber/fiber/v2"

	"github.com/sioplug/sioplug/integrations/internal/fasthttpx"
)

// Listener returns a listener that waits when the process has no descriptor left for
// another connection, as net/http does:
//
//	ln, err := net.Listen("tcp", ":3000")
//	...
//	err = app.Listener(siofiber.Listener(ln))
//
// Fiber's own listener returns an error in that case, and most programs end then. [Mount]
// makes app.Listen wait when hardly any descriptors are left. But if other parts of the
// program take the last ones at that moment, app.Listen still returns the error. For TLS,
// wrap ln by Listener first, and then by [crypto/tls.NewListener].
func Listener(ln net.Listener) net.Listener { return fasthttpx.NewListener(ln) }

// appOf returns the application of a router, nil if it cannot be found. A group does not
// tell, so this looks into it.
func appOf(r fiber.Router) *fiber.App {
	switch r := r.(type) {
	case *fiber.App:
		return r
	case *fiber.Group:
		f := reflect.ValueOf(r).Elem().FieldByName("app")
		if f.IsValid() && f.Type() == reflect.TypeFor[*fiber.App]() {
			return (*fiber.App)(f.UnsafePointer())
		}
	}
	return nil
}
