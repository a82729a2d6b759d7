// Package sioclient is a Socket.IO client. It speaks to servers of version 3 and newer, in
// JavaScript, Go or any other language, over WebSocket and HTTP long-polling.
//
//	s, err := sioclient.New("http://localhost:8080", nil)
//	if err != nil {
//		return err
//	}
//	s.On("posted", sioclient.Bind(func(c *sioclient.Ctx, text string) error {
//		fmt.Println(text)
//		return nil
//	}))
//	if err := s.Connect(ctx); err != nil {
//		return err
//	}
//	defer s.Manager().Shutdown(ctx)
//	err = s.Emit("post", "hello")
//
// It has the vocabulary of the server, package sio:
//
//   - A [Socket] is the client in one namespace. Handlers are registered on it.
//   - A [Manager] has the connection, which the sockets of all namespaces share.
//   - A [Ctx] is one event that a socket received.
//
// # Connecting
//
// [Socket.Connect] waits until the server accepts the socket, or for the first error.
// [Socket.Open] does not wait. When the connection is lost, the client connects again by
// itself, unless Options.DisableReconnection is set: [Options] says how long it waits.
// [Socket.OnConnect], [Socket.OnDisconnect] and [Socket.OnConnectError] tell what happens
// to a socket, and [Hooks] what happens to the connection.
//
// There is no list of connections behind the program's back, as in JavaScript: each [New]
// makes a Manager. To share its connection, use [Manager.Of].
//
// # Events
//
// [Socket.Emit] never waits. An event that is emitted while the socket is not connected is
// kept, and sent when it is. If the connection is lost, events that have been given to it
// may or may not have arrived. Events that must arrive need Options.Retries. Volatile
// events, by [Socket.EmitVolatile], are dropped instead of kept.
//
// [EmitWithAck] waits for an acknowledgement, and [Ask] lets its caller wait later.
//
// # Concurrency
//
// All methods are safe for concurrent use. Handlers run on a goroutine that exists while
// there are events: see [Handler]. An idle connection over WebSocket has one goroutine.
package sioclient
