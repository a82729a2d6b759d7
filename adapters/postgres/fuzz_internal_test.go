package postgresadapter

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/adapters/internal/captures"
	"github.com/sioplug/sioplug/core/adapter"
)

func event(text string) *adapter.Message {
	return &adapter.Message{Kind: adapter.Broadcast, Data: fmt.Appendf(nil, "[%q]", text)}
}

// Whatever comes over a channel is a message, names a row, or is refused. What is a message is
// one again after it was sent and has come.
func FuzzNotification(f *testing.F) {
	for _, r := range captures.Rows(f, "postgres") {
		if in := r.Bytes(f); len(in) < 1000 {
			f.Add(in, r.Channel == "socket.io#/chat")
		}
	}
	c := channels{defaultPrefix}
	b := &broker{channels: c, self: "goaaaaaaaaaaaaaa", spaces: map[string]string{"socket.io#/": "/", "socket.io#/chat": "/chat"}}
	f.Fuzz(func(t *testing.T, in []byte, chat bool) {
		channel := "socket.io#/"
		if chat {
			channel = "socket.io#/chat"
		}
		id, err := readHeader(in)
		if err != nil || id != 0 {
			if err == nil && id < 0 {
				t.Fatalf("row %d", id)
			}
			return
		}
		p, err := cluster.Decode(bytes.Clone(in))
		if err != nil {
			return
		}
		if here, err := b.place(p, channel); err != nil || !here {
			return
		}
		o, err := c.encode(p)
		if err != nil {
			return // such as a number that is out of range
		}
		text := o.text
		if o.row != nil {
			if text = o.row; len(o.text) > 8*len(p.From)+100 {
				t.Fatalf("a long header: %s", o.text)
			}
		} else if id, err := readHeader(text); id != 0 || err != nil {
			t.Fatalf("%s names row %d, %v", text, id, err)
		}
		again, err := cluster.Decode(bytes.Clone(text))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if again.Namespace != p.Namespace || again.Type != p.Type || again.From != p.From || o.row == nil && len(text) > maxPayload {
			t.Fatalf("%+v became %+v", p, again)
		}
	})
}
