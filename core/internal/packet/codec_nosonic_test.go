//go:build !amd64 && !arm64

package packet_test

// sonicCodecs returns none: sonic does not compile here.
func sonicCodecs() []namedCodec { return nil }
