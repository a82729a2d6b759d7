// Package websocket is an end of a WebSocket connection (RFC 6455) over any [net.Conn]:
// that of the server, and with [NewClient] that of a client. It is made for very many
// connections that are mostly idle.
//
// The package does the protocol and the system calls and leaves the policy to
// its caller: [Check] validates an opening handshake, [Conn.Serve] reads and
// hands whole messages to a [Handler], [Conn.Write] sends ready frames without
// ever waiting. It starts no goroutine and no timer, and it sends nothing by
// itself: pongs and close frames are handed to the caller, who queues them
// with everything else.
//
// What it is built for, in the order of importance:
//
//   - Several frames per system call, in both directions. One read parses all
//     the frames it brought in place; one write takes all the frames queued.
//   - Waiting without a buffer. Where the connection is a plain socket, memory
//     is borrowed from a pool once the socket is readable and given back
//     when its bytes are parsed. An idle connection costs a goroutine and a
//     [Conn].
//   - Memory in proportion to what a peer has sent, never to what a header
//     merely claims.
//
// One extension can be negotiated, permessage-deflate (RFC 7692): see [Deflate].
// Without it, a frame with a reserved bit is a violation (RFC 6455 section 5.2).
package websocket
