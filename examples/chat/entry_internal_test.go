package chat

import (
	"bytes"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"strings"
	"testing"
)

func mustEncode(t *testing.T, w, h int, encode func(io.Writer, image.Image) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := encode(&b, image.NewGray(image.Rect(0, 0, w, h))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func encodeJPEG(w io.Writer, m image.Image) error { return jpeg.Encode(w, m, nil) }
func encodeGIF(w io.Writer, m image.Image) error  { return gif.Encode(w, m, nil) }

func TestPicturesAreWhatTheyAre(t *testing.T) {
	tests := []struct {
		name string
		data []byte
		want Picture // without a type: refused
	}{
		{"png", mustEncode(t, 30, 20, png.Encode), Picture{Type: "image/png", Width: 30, Height: 20}},
		{"jpeg", mustEncode(t, 30, 20, encodeJPEG), Picture{Type: "image/jpeg", Width: 30, Height: 20}},
		{"gif", mustEncode(t, 30, 20, encodeGIF), Picture{Type: "image/gif", Width: 30, Height: 20}},
		{"largest side", mustEncode(t, maxSide, 1, png.Encode), Picture{Type: "image/png", Width: maxSide, Height: 1}},
		{"side too large", mustEncode(t, maxSide+1, 1, png.Encode), Picture{}},
		{"too many bytes", append(mustEncode(t, 1, 1, png.Encode), make([]byte, maxPicture)...), Picture{}},
		{"svg", []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`), Picture{}},
		{"html", []byte("<!doctype html><script>alert(1)</script>"), Picture{}},
		{"cut off", mustEncode(t, 30, 20, png.Encode)[:12], Picture{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := inspect(tt.data)
			if tt.want.Type == "" {
				if err == nil {
					t.Errorf("accepted as %+v", got)
				}
				return
			}
			if err != nil || got.Type != tt.want.Type || got.Width != tt.want.Width || got.Height != tt.want.Height {
				t.Errorf("inspect = %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func TestEntries(t *testing.T) {
	picture := mustEncode(t, 3, 2, png.Encode)
	tests := []struct {
		name string
		in   postRequest
		text string // of the message; empty with ok for a picture alone
		ok   bool
	}{
		{"text", postRequest{Nonce: "n", Text: "  hello\n there "}, "hello\n there", true},
		{"control characters", postRequest{Nonce: "n", Text: "a\x00b\x1b[31m"}, "ab[31m", true},
		{"markup stays text", postRequest{Nonce: "n", Text: "<b>"}, "<b>", true},
		{"picture alone", postRequest{Nonce: "n", Picture: picture}, "", true},
		{"longest", postRequest{Nonce: "n", Text: strings.Repeat("é", maxText)}, strings.Repeat("é", maxText), true},
		{"too long", postRequest{Nonce: "n", Text: strings.Repeat("é", maxText+1)}, "", false},
		{"nothing", postRequest{Nonce: "n", Text: " \n"}, "", false},
		{"no nonce", postRequest{Text: "hello"}, "", false},
		{"long nonce", postRequest{Nonce: strings.Repeat("n", 65), Text: "hello"}, "", false},
		{"no picture", postRequest{Nonce: "n", Picture: []byte("hello")}, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := newEntry(ann, tt.in)
			if (err == nil) != tt.ok {
				t.Fatalf("newEntry: %v, want ok = %v", err, tt.ok)
			}
			if tt.ok && (e.Text != tt.text || !bytes.Equal(e.data, tt.in.Picture)) {
				t.Errorf("the message is %q with a picture of %d bytes", e.Text, len(e.data))
			}
		})
	}
}
