// Package ratelimit keeps clients from asking for more than their share. One line:
//
//	chat.On("post", post, ratelimit.PerSocket(5, time.Second))
//
// That is a middleware like any other: for one event, for all events of a
// namespace ([sio.Namespace.UseEvents]), or for its connects
// ([sio.Namespace.UseConnect]):
//
//	chat.UseConnect(ratelimit.PerIP(30, time.Minute))
//	chat.UseConnect(ratelimit.MaxPerIP(20))
//	chat.UseEvents(ratelimit.PerUser(auth.Subject, 100, time.Second))
//
// A middleware is one limit with buckets of its own: give the same one to two
// events, and what is sent of both counts together.
//
// # Buckets
//
// Each key, such as a socket or an address, has a bucket of tokens. An event takes
// one out, or what [Cost] says, and they come back at a steady rate. A full
// bucket, which is what may come at once, has as many as come back in the given
// time, unless [Burst] says otherwise.
//
// Buckets that are full again are forgotten, and there is a bound on the number of
// others ([MaxKeys]), so memory is bounded whatever clients do. Servers share
// buckets with package redislimit.
//
// # Too much
//
// By default an event beyond the limit is refused: its ack, or CONNECT_ERROR, is an
// error with the data {code: "rate_limited", retryAfter: seconds}. If the client
// does not want an ack, it is sent the event [EventLimited] with the same data and
// the event's name, once until the time is up. [Drop], [Delay] and
// [DisconnectAfter] do something else.
//
// # Addresses
//
// The address of a client is what the framework says, by its rules for trusted
// proxies: see [sio.Handshake]. Of an IPv6 address, only the network counts, since
// a client has as many addresses in it as it likes: [IPv6Prefix].
package ratelimit
