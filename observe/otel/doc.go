// Package siotel exports traces and metrics of a Socket.IO server to OpenTelemetry.
//
//	tracing := siotel.NewTracing(nil)
//	metrics, err := siotel.NewMetrics(nil)
//	...
//	srv := sio.New(&sio.Options{Observers: []*sio.Observer{tracing.Observer(), metrics.Observer()}})
//	srv.UseConnect(tracing.Middleware)
//	srv.UseEvents(tracing.Middleware)
//
// Both use the global providers of OpenTelemetry, unless the options have others. Either
// can be used without the other.
//
// # Traces
//
// There is a span for each event that a handler gets, for each client that connects to a
// namespace, for each broadcast, and for each wait for acknowledgements. The span of an
// event is the root of a trace of its own, because a connection may last for days. It has a
// link to the span of the request that opened the connection.
//
// # Bounds
//
// Clients cannot make up names of spans, nor labels of metrics. Only events with a handler
// have names of their own. A namespace that a client brings about has the name of its
// parent: "/_0" for the first one of [sio.Server.OfFunc] or [sio.Server.OfRegexp].
//
// docs/tracing.md and docs/metrics.md have the tables of attributes and metrics.
package siotel
