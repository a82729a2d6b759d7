// Package siotest helps to test Socket.IO servers: a client that speaks the
// protocol packet by packet, and [Run], the suite that every way of mounting a
// server into an HTTP framework has to pass.
//
// # Packets
//
// A [Client] sends and receives Engine.IO packets as text, in the form that
// they have in a polling payload, whichever transport carries them: the type
// character and the data, or a "b" and base64 for a binary message. So the
// Socket.IO event ["hello"] is
//
//	42["hello"]
//
// and an event with one attachment is two packets:
//
//	451-["picture",{"_placeholder":true,"num":0}]
//	bAQIDBA==
//
// Nothing is hidden but what the transports need for themselves: pings are
// answered when the client reads, noops are skipped.
//
// # Networks
//
// [Loopback] serves on a TCP port of this machine. [Pipes] serves over
// [net.Pipe], so that server, clients and network fit into a bubble of
// testing/synctest, where time is fake and [synctest.Wait] tells when
// everything has been said.
//
// [synctest.Wait]: https://pkg.go.dev/testing/synctest#Wait
package siotest
