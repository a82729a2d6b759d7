// Package sharedlog has what the logs of connection state recovery have in common whose
// messages are in a stream of a broker: in Redis, or in JetStream of NATS. The servers of a
// cluster share such a log.
package sharedlog
