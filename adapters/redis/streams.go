package redisadapter

import "github.com/sioplug/sioplug/adapters/cluster"

func newStreams(n *nodes, o StreamsOptions) cluster.Broker { panic("TODO") }
