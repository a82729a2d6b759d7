package siofiber

import (
	"reflect"

	"github.com/gofiber/fiber/v2"
)

// ownPaths makes the memory of the path that of the socket, as [fasthttpx.Own] does
// with the rest of a request: parameters and what Path returns are strings of buffers
// that Fiber keeps for the next request. It makes new ones when there are none.
func ownPaths(c *fiber.Ctx) {
	v := reflect.ValueOf(c).Elem()
	for _, name := range pathBuffers() {
		*(*[]byte)(v.FieldByName(name).Addr().UnsafePointer()) = nil
	}
}

func pathBuffers() []string { return []string{"pathBuffer", "detectionPathBuffer"} }

// checkPaths panics if this version of Fiber keeps its paths in another way, rather
// than let them change under handlers.
func checkPaths() {
	for _, name := range pathBuffers() {
		f, ok := reflect.TypeFor[fiber.Ctx]().FieldByName(name)
		if !ok || f.Type != reflect.TypeFor[[]byte]() {
			//nolint:forbidigo // it does not depend on anything but the version
			panic("siofiber: " + fiber.Version + " of Fiber is not one whose buffers this package knows: use another one of version 2")
		}
	}
}
