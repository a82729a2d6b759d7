//go:build !amd64 && !arm64

package codecs_test

// sonicCodecs returns none: sonic does not compile here.
func sonicCodecs() []namedCodec { return nil }
