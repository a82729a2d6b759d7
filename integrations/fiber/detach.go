package siofiber

import (
	"reflect"

	"github.com/gofiber/fiber/v2"
)

// detachPaths leaves the memory of the path to the socket, as [fasthttpx.Detach] does
// with the rest of a request. Parameters and the result of Path are strings in buffers that
// Fiber uses again for the next request. Fiber makes new buffers if there are none.
func detachPaths(c *fiber.Ctx) {
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
