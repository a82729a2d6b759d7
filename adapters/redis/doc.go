// Package redisadapter connects servers to a cluster over Redis, also with servers of the
// official adapters for Node.js.
package redisadapter
