// Package users knows which users are online. A user can have many sockets: tabs, phones,
// on all servers of a cluster. The user is online as long as there is one:
//
//	chat.UseConnect(auth.Require(verify))
//	people := users.New(chat, auth.Subject, &users.Options{
//		OnOnline:  func(id string) { _ = chat.Emit("online", id) },
//		OnOffline: func(id string) { _ = chat.Emit("offline", id) },
//	})
//
//	err := people.User("ann").Emit("mail", "you have mail") // to all sockets of ann
//	if people.Online("bob") { ... }
//
// A user whose last socket has gone stays online for [Options.Grace], so nobody notices a
// reload of the page.
//
// # In a cluster
//
// Each server knows the users of all servers, without a database. The servers tell each
// other which users come and go. They also say every 5 seconds that they are there, and
// with which state. A server that has missed something asks for it. A server that is not
// heard for 15 seconds has failed: its users go offline, unless they are on another
// server.
//
// Each call of OnOnline and OnOffline is made by one server, which all servers choose in
// the same way. If that server fails, another one makes the calls that it has not made.
// Some may then be made twice: those of the last two seconds. While servers cannot reach
// each other, each side calls OnOffline for the users of the other side, and OnOnline
// afterwards. With [Options.EveryServer], each server makes all calls. Then they alternate
// for each user, and the last one is what that server knows: these are the promises that
// hold with any failure.
//
// A server that starts makes no calls for two seconds after its adapter has connected, for
// ten seconds at most: until then, it learns who is online. A server that shuts down makes no more calls, and tells the others that it
// leaves. Its users stay online for the grace time.
//
// # Rooms
//
// The sockets of a user are pinned to a room, whose name begins with "users:id:". A socket
// that joins such a room by its name gets what is sent to the user. So do not let clients
// join rooms of any name: put a prefix of your own before them.
//
// # Memory
//
// A user who is online takes about 150 bytes and the id on each server of a cluster. A user
// has at least one socket, or had one within the grace time, so whoever limits sockets
// limits users. See also [Options.MaxUsers].
package users
