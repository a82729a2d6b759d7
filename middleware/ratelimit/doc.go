// Package ratelimit limits how many events, connects and connections clients may use:
//
//	chat.On("post", post, ratelimit.PerSocket(5, time.Second))
//
// A limit is middleware. Use it for one event, for all events of a namespace
// ([sio.Namespace.UseEvents]), or for its connects ([sio.Namespace.UseConnect]):
//
//	chat.UseConnect(ratelimit.PerIP(30, time.Minute))
//	chat.UseConnect(ratelimit.MaxPerIP(20))
//	chat.UseEvents(ratelimit.PerUser(auth.Subject, 100, time.Second))
//
// Each middleware is one limit with its own buckets. If you use the same middleware for
// two events, they share the limit.
//
// # Buckets
//
// Each key, such as a socket or an address, has a bucket of tokens. An event takes one
// token, or as many as [Cost] returns. Tokens come back at a steady rate. A full bucket
// holds as many tokens as come back in the given time, or the number of [Burst]: so many
// events may come at once.
//
// Full buckets are not kept, and the number of other buckets is limited ([MaxKeys]). So
// memory is bounded.
//
// # Clusters
//
// [MaxPerIP] and [MaxPerUser] count the sockets of all servers of a cluster, over the
// connections of [sio.Options.Adapter]. The buckets of all other limits are in the memory of
// each server: a user with sockets on two servers has two buckets. With package redislimit,
// servers share their buckets in Redis. It can use the client of the adapter.
//
// # When a limit is exceeded
//
// By default, the event is refused: its ack, or CONNECT_ERROR, is an error with the data
// {code: "rate_limited", retryAfter: seconds}. If the client does not want an ack, the
// server sends the event [EventLimited] with the same data and the event's name. It sends
// that once until the time is up. [Drop], [Delay] and [DisconnectAfter] change this.
//
// # Addresses
//
// The framework determines the address of a client, by its rules for trusted proxies: see
// [sio.Handshake]. Of an IPv6 address, only the network is used, because a client can
// have all addresses of its network: see [IPv6Prefix].
package ratelimit
