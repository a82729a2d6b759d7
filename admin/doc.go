// Package sioadmin lets the official Admin UI of Socket.IO show what a server does, and
// control it: clients, rooms, events, and all servers of a cluster.
//
//	admin, err := sioadmin.Instrument(srv, sioadmin.Options{
//		Username:     "admin",
//		PasswordHash: os.Getenv("ADMIN_PASSWORD_HASH"), // see HashPassword
//	})
//	...
//	http.Handle("/ops/", admin.UI("/ops/", os.DirFS("adminui"), nil))
//
// The files of the UI are not part of this module. This command gets them from npm:
//
//	go run github.com/sioplug/sioplug/admin/cmd/sioadmin-ui adminui
//
// docs/admin.md is about modes, what the UI may see, and what to protect.
package sioadmin
