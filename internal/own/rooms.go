package own

import "strings"

// The rooms that packages of this module pin sockets to, to find the sockets of a user. Each
// name begins with one of these.
const (
	RoomOfSubject = "auth:sub:"  // package auth: the subject of a token
	RoomOfJTI     = "auth:jti:"  // package auth: the id of a token
	RoomOfUser    = "users:id:"  // package users: the id of a user
	RoomOfLimit   = "ratelimit:" // package ratelimit: whose sockets are counted together
)

// IsRoom reports whether a room has such a name.
func IsRoom(name string) bool {
	return strings.HasPrefix(name, RoomOfSubject) || strings.HasPrefix(name, RoomOfJTI) ||
		strings.HasPrefix(name, RoomOfUser) || strings.HasPrefix(name, RoomOfLimit)
}
