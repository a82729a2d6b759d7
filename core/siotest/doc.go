// Package siotest helps to test Socket.IO servers. It can call one handler, connect
// clients in memory to a whole server, and send and receive single packets. It also has
// the tests that every mount, adapter, log and parser has to pass.
//
// # One handler
//
// [NewCtx] makes the [sio.Ctx] that a handler or a middleware is called with,
// and gives back the client that it came from:
//
//	c, client := siotest.NewCtx(t, "post", Post{Text: "hello"})
//	if err := post(c); err != nil {
//		t.Fatal(err)
//	}
//	client.Expect("posted", &got)
//	client.Ack.Bind(&number)
//
// # A whole server
//
// [Connect] connects a client, a [Peer], to a server in memory, without a port:
//
//	ada := siotest.Connect(t, srv, "/chat", Login{Token: "ada's"})
//	bob := siotest.Connect(t, srv, "/chat", Login{Token: "bob's"})
//	ada.Emit("post", Post{Text: "hello"})
//	bob.Expect("posted", &got)
//
// [Peer.Ask] sends an event that is to be acknowledged, [Event.Ack] answers one
// of the server's. [TryConnect] is for clients that should be refused.
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
// The Client answers pings when it reads, and skips noops. All other packets are visible.
//
// # Networks
//
// A [Dialer] opens Clients and Peers. [Loopback] serves on a TCP port of this machine.
// [Pipes] serves over [net.Pipe], as [Connect] and [NewCtx] do. So server, clients and
// network fit into a bubble of testing/synctest. There time is fake, and [synctest.Wait]
// returns when all packets have arrived:
//
//	synctest.Test(t, func(t *testing.T) {
//		client := siotest.Connect(t, newServer(), "/", nil)
//		client.Emit("remind me", "1h")
//		time.Sleep(time.Hour)
//		synctest.Wait()
//		client.Expect("reminder")
//		client.ExpectNone()
//	})
//
// The server has to be made inside of the bubble.
//
// # Suites
//
// [Run] is the suite that every way of mounting a server into an HTTP framework has
// to pass. [TestCluster] is that of adapters for [sio.Options.Adapter], [TestLog] that
// of logs for [sio.Recovery.Log], and [TestParser] that of parsers for
// [sio.Options.Parser].
//
// [synctest.Wait]: https://pkg.go.dev/testing/synctest#Wait
package siotest
