// Package own has the names of server-side events that packages of this module use. They
// begin with a prefix that applications cannot use.
package own

import "strings"

// Prefix begins the name of each event.
const Prefix = "sioplug:"

// An Event is the name of a server-side event, with the [Prefix]. Applications cannot make
// one, so they can neither handle nor emit such events.
type Event string

// The events.
const (
	Revoked Event = Prefix + "revoked" // package auth: what was revoked
	Revoker Event = Prefix + "revoker" // package auth: a server has this list, and asks for what it lacks
	Rooms   Event = Prefix + "rooms"   // package auth: the rights of a user have changed
	Parent  Event = Prefix + "parent"  // package sio: an event for all children of a parent, whichever server has them
	End     Event = Prefix + "end"     // package sio: in a Parent event, disconnects the sockets of a room
	Users   Event = Prefix + "users"   // package users: which users have sockets on a server
)

// Is reports whether a name is that of such an event.
func Is(name string) bool { return strings.HasPrefix(name, Prefix) }
