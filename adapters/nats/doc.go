// Package natsadapter connects servers to a cluster over NATS. One line makes a server part
// of the cluster:
//
//	nc, err := nats.Connect("nats://localhost:4222", nats.MaxReconnects(-1))
//	// ...
//	srv := sio.New(&sio.Options{Adapter: natsadapter.New(nc)})
//
// It needs core NATS, without JetStream, in version 2.2 or newer. All servers of a cluster
// need the same options. There is no official adapter for NATS, so servers in Node.js cannot
// take part.
//
// The connection is yours: its options decide about TLS, credentials, which servers of NATS
// there are, and how the connection is opened again. Set MaxReconnects to -1, so that nats.go
// does not give up, and PingInterval to some seconds, so that it notices a server of NATS that
// hangs. The adapter does not close the connection. Several servers and namespaces can share
// one, and the application can use it, too. Shut the server down before you close or drain the
// connection.
//
// A message is never sent twice. If the connection fails while messages are sent, these may be
// lost. They are counted in [adapter.Status], as are times after which messages of others may
// have been missed. The messages of one server arrive in the order in which it has sent them.
//
// [adapter.Status]: https://pkg.go.dev/github.com/sioplug/sioplug/core/adapter#Status
package natsadapter
