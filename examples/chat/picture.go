package chat

import (
	"bytes"
	"image"
	_ "image/gif"  // the formats a picture may have:
	_ "image/jpeg" // exactly those whose size the server can read
	_ "image/png"

	sio "github.com/sioplug/sioplug/core"
)

const (
	// maxPicture leaves room under the server's default MaxPayload of 1 MB for
	// base64, in which long-polling carries bytes.
	maxPicture = 700_000

	// maxSide bounds what the pictures of others cost a page to decode.
	maxSide = 4096 // pixels
)

// inspect returns what data shows about itself, not what its sender says of it.
func inspect(data []byte) (*Picture, error) {
	if len(data) > maxPicture {
		return nil, &sio.Error{Message: "This picture is too large (700 kB at most)."}
	}
	cfg, format, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, &sio.Error{Message: "A picture is a PNG, JPEG or GIF.", Err: err}
	}
	if min(cfg.Width, cfg.Height) < 1 || max(cfg.Width, cfg.Height) > maxSide {
		return nil, &sio.Error{Message: "A picture has 4,096 pixels a side at most."}
	}
	return &Picture{Type: "image/" + format, Width: cfg.Width, Height: cfg.Height}, nil
}
