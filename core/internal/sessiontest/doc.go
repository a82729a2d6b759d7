// Package sessiontest has no code of its own: its fuzz test plays random sequences
// of requests and frames against a whole server, in fake time, and compares what
// becomes of them with a small model. See FuzzSession.
package sessiontest
