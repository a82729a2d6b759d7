package sio

import (
	"context"
	"log/slog"

	"github.com/sioplug/sioplug/internal/encoding"
)

// newDecoder returns a decoder for a connection. If the parser cannot make one, every
// message is an error.
func (s *Server) newDecoder() encoding.Decoder {
	d, err := encoding.NewDecoder(s.opts.decoder(), s.wire.parser)
	if err != nil {
		s.log().LogAttrs(context.Background(), slog.LevelError, "Parser.NewDecoder failed", errAttrs(err)...)
	}
	return d
}
