// Package cluster has what all adapters for message brokers share: requests to other
// servers and their answers, who is a member of the cluster, a bounded queue to the broker,
// and the messages of the official cluster adapters in their encodings, MessagePack and
// JSON. Use it to write an adapter for another broker: implement [Broker], and [New] makes
// an [adapter.Cluster] of it. To use an existing adapter, see the packages beside this one.
//
// [adapter.Cluster]: https://pkg.go.dev/github.com/sioplug/sioplug/core/adapter#Cluster
package cluster
