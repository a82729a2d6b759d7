package siofiberv3

import (
	"net"
	"reflect"

	"github.com/gofiber/fiber/v3"

	"github.com/sioplug/sioplug/integrations/internal/fasthttpx"
)

// Listener returns a listener for an application which waits while the process has no
// descriptor for another connection, as net/http does:
//
//	ln, err := net.Listen("tcp", ":3000")
//	...
//	err = app.Listener(siofiberv3.Listener(ln))
//
// Fiber's own listener ends in that case, and with it most programs. [Mount] makes
// app.Listen wait, too, while there are hardly any descriptors left; but what the rest
// of the program opens in the same moment can still end it. For TLS, ln is what
// [crypto/tls.NewListener] is given.
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
