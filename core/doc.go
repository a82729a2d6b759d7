// Package sio is a Socket.IO server: it speaks to the official clients, version
// 3 and newer, over WebSocket and HTTP long-polling, and is mounted into an
// application's own HTTP framework.
//
//	srv := sio.New(nil)
//	srv.OnConnect(func(c *sio.Ctx) error { return c.Join("lobby") })
//	srv.On("post", sio.Bind(func(c *sio.Ctx, text string) error {
//		return c.To("lobby").Emit("posted", c.ID(), text)
//	}))
//
//	http.Handle("/socket.io/", srv) // or siogin.Mount(r, srv)
//
// There are four main types:
//
//   - A [Server] has namespaces, and is itself the root one, "/".
//   - A [Namespace] has handlers, and clients in rooms.
//   - A [Socket] is one client in one namespace. It carries data, not handlers.
//   - A [Ctx] is one packet that a socket received.
//
// # Handlers
//
// There is one handler type, [Handler]. [Ctx.Bind] decodes the arguments of an
// event, as many as there are. [Bind] and [Reply] make a Handler of a function
// with types of its own:
//
//	srv.On("move", sio.Bind(func(c *sio.Ctx, m Move) error { ... }))
//	srv.On("buy", sio.Reply(func(c *sio.Ctx, o Order) (Receipt, error) { ... }))
//	srv.On("sum", func(c *sio.Ctx) error {
//		var a, b int
//		if err := c.Bind(&a, &b); err != nil {
//			return err
//		}
//		return c.Emit("sum", a+b)
//	})
//
// Arguments at the end that clients may leave out are bound to an [Optional].
// [Ctx.Args] has the arguments of any event, and [Args.Values] decodes them without
// knowing their types: to send events on, for example.
//
// Handlers are registered once for a namespace, before or while clients are
// connected. A registration that cannot be right, such as a second handler for
// an event, panics.
//
// [Namespace.OnConnect] runs when a client was accepted, before its first event,
// and [Namespace.OnDisconnect] after its last one, while it is still in its
// rooms. [Namespace.OnUnknown] gets the events that have no handler.
//
// # Middleware
//
// There is one middleware type, [Middleware], which wraps a Handler, and three
// places for it:
//
//   - [Namespace.UseConnect]: once for each client, before it is accepted. The
//     client's auth payload is the argument to Bind.
//   - [Namespace.UseEvents]: for every event.
//   - [Namespace.On]: for the one event, behind the handler.
//
// [Guard] makes middleware of a check. A [Key] keeps the result of a check on the
// socket. Middleware may call next with another context ([Ctx.WithContext]) or other
// arguments ([Ctx.WithArgs]). To see events without changing them, use
// [Namespace.OnAny] and [Namespace.OnAnyOutgoing].
//
// # Acknowledgements
//
// A client may want an event to be acknowledged. It gets the result of Reply's
// function, or the arguments of [Ctx.Ack], once. When Bind's function has returned
// without an error and without an Ack, the client gets an acknowledgement without
// values. A Handler that is not made by Bind or Reply may also call Ack later, from
// another goroutine.
//
// To get an acknowledgement from the client, use [EmitWithAck] or
// [Socket.EmitWithAck], with a context that says how long to wait. [Ask] sends the
// event at once, and [Answer.Wait] waits later. A handler may wait for its own client.
// [BroadcastWithAck] emits to many clients and yields their acknowledgements as they
// come.
//
// # Rooms
//
// Sockets join and leave rooms by [Socket.Join] and [Socket.Leave], and leave
// all rooms when they disconnect. [Socket.Leave] ignores the rooms of [Socket.Pin].
// [Namespace.To] and [Namespace.Except] make a [Broadcast], a set of sockets to
// emit to; [Socket.To] and [Socket.Broadcast] make one without that socket. A
// Broadcast is a value: refining it makes another one. The id of a socket is a
// room with that socket in it.
//
// Beside Emit, a Broadcast can put all its sockets into rooms or take them out,
// disconnect, count, or describe them: [Broadcast.Join], [Broadcast.Leave],
// [Broadcast.Disconnect], [Broadcast.Count], [Broadcast.Fetch]. The sockets and
// rooms of this server are listed by [Broadcast.Sockets], [Namespace.Socket] and
// [Namespace.Rooms]. [Namespace.OnRoom] tells when rooms are created and deleted.
//
// # Namespaces
//
// [Server.Of] makes a namespace that clients can connect to. [Server.OfFunc] and
// [Server.OfRegexp] return a parent, whose children are made when clients connect to
// matching names. Registrations on the parent apply to each child, and a broadcast to
// the parent reaches the clients of all children. In a handler, [Socket.Namespace] is
// the child. [Server.Namespaces] lists all namespaces; [Server.OnNewNamespace] and
// [Server.OnNamespaceEnd] tell when one begins and ends.
//
// # Recovery
//
// With [Options.ConnectionStateRecovery], a client that lost its connection for a
// short time gets the events that it missed, and keeps its id, rooms and values: see
// [Recovery].
//
// # Clusters
//
// With [Options.Adapter], several servers are a cluster: the methods of a Broadcast
// work on all of them, unless it is [Broadcast.Local]. [Namespace.ServerSideEmit]
// sends an event to the other servers. Package adapter has the interfaces for a
// broker, and a cluster in one process for tests.
//
// # Encodings
//
// [Options.JSON] replaces the encoding of values, and [Options.Parser] that of whole
// packets: by MessagePack with package msgpack, for example.
//
// # Binary data
//
// Any []byte in the arguments of Emit, at any depth, travels as binary data and not
// as text, and arrives in a []byte. A client gets a Buffer, or an ArrayBuffer in
// a browser. A []byte that is emitted twice in one packet counts twice.
//
// Types with a MarshalJSON or UnmarshalJSON method of their own, such as
// [encoding/json.RawMessage], are not looked into. Binary data that is decoded
// into one is a string in base64 there, as encoding/json has it; emitted again, it
// stays that. To forward binary data as it came, decode it into an any.
//
// Official clients take 10 binary values in one packet, and close their connection
// if there are more. So does the server with clients: [Options.MaxAttachments].
// Emit returns [ErrTooManyAttachments] instead of sending more than
// [Options.MaxSendAttachments]. Join the values to one []byte, send several events,
// leave the pictures of a list to a later request, or use package msgpack, which has
// no such limit. A client whose parser allows more can be sent more:
//
//	import { Decoder, Encoder } from "socket.io-parser";
//	class Patient extends Decoder { constructor() { super({ maxAttachments: 100 }); } }
//	io({ parser: { Encoder, Decoder: Patient } });
//
// Clients recognize binary data by an object with a member _placeholder that is true.
// Such an object of your own cannot be in one packet with binary data: Emit returns
// [ErrPlaceholder]. With package msgpack it can.
//
// # Errors
//
// Only an [*Error] is meant for clients. If the middleware of UseConnect returns it,
// the client is refused, and its connect_error event has the message and the data. If
// the handler of an event returns it, and the client asked for an ack, the ack is
//
//	{error: {message, data}}
//
// Any other error, and a panic, is "internal error" to the client and a record
// in the log. [Options.OnError] can replace that for events. An error of
// OnConnect disconnects the client.
//
// An error that a client can cause at will is logged at Debug only. The data that
// clients send is never logged.
//
// # Concurrency
//
// All methods are safe for concurrent use. The handlers of one client run one at a
// time, in the order in which it sent, whatever the namespace. One that takes longer
// than a tenth of a second holds up its own socket's events alone: see [Handler].
// When too many events wait, the client is slowed down: see
// [Options.MaxPendingEvents]. To let later events pass, start a goroutine; the Ctx may
// be kept. Handlers of different clients run in parallel.
//
// Emitting never waits. Events for a client that reads slowly are queued, up to
// [Options.MaxSendBuffer], and then the client is disconnected. Volatile events,
// by [Socket.EmitVolatile] and [Broadcast.Volatile], are dropped before that. Of events
// by [Broadcast.DropOldest] and [Broadcast.Latest], a slow client gets the newest. To send
// one client more than that, such as a file in chunks, wait by [Socket.Flush].
//
// [Ctx.Context] ends when the socket is disconnected, and its cause is a
// [*DisconnectError].
//
// # Shutdown
//
// [Server.Shutdown] disconnects all clients and waits for handlers. Long polls
// hold up an HTTP server, so it comes first:
//
//	err := errors.Join(srv.Shutdown(ctx), httpServer.Shutdown(ctx))
//
// # Tests
//
// Package siotest has clients in memory, for tests of whole servers, and makes a
// Ctx for tests of one handler. Both work in the fake time of testing/synctest.
package sio
