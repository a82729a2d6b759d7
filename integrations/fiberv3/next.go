package siofiberv3

import (
	"strings"

	"github.com/gofiber/fiber/v3"
)

// Next reports whether a request is for a server that is mounted at /socket.io. It is
// for the application's own middleware that is not meant for sockets:
//
//	app.Use(compress.New(compress.Config{Next: siofiberv3.Next}))
//
// For a mount in a group, use [NextAt].
func Next(c fiber.Ctx) bool { return below(c.Path(), path) }

// NextAt is [Next] for a server that is mounted elsewhere: at "/api/socket.io", for
// example, if the group is "/api". Parameters in the path are not known to it.
func NextAt(path string) func(c fiber.Ctx) bool {
	path = strings.TrimSuffix(path, "/")
	return func(c fiber.Ctx) bool { return below(c.Path(), path) }
}

func below(requested, path string) bool {
	rest, ok := strings.CutPrefix(requested, path)
	return ok && (rest == "" || rest[0] == '/')
}
