package websocket_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/core/internal/frame"
	"github.com/sioplug/sioplug/core/internal/websocket"
)

// An echoer answers every message with one frame, made before, and writes the
// answers to one read together.
type echoer struct {
	c      *websocket.Conn
	reply  *frame.Frame
	queued []*frame.Frame
}

func (e *echoer) Message(bool, []byte)   { e.queued = append(e.queued, e.reply) }
func (e *echoer) Control(f *frame.Frame) { e.queued = append(e.queued, f) }

func (e *echoer) Flush() bool {
	if send(e.c, e.queued...) != nil {
		_ = e.c.Close()
	}
	e.queued = e.queued[:0]
	return true
}

// BenchmarkEcho is one round trip of so many messages sent at once.
func BenchmarkEcho(b *testing.B) {
	for _, n := range networks() {
		for _, count := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/%d", n.name, count), func(b *testing.B) {
				server, client := n.pair(b)
				c := websocket.New(server, limit, nil)
				e := &echoer{c: c, reply: makeFrames(1)[0]}
				done := make(chan struct{})
				go func() {
					defer close(done)
					_ = c.Serve(e)
				}()
				sent := bytes.Repeat(masked(fin|text, strings.Repeat("a", 100)), count)
				got := make([]byte, count*e.reply.Len())
				b.ReportAllocs()
				for b.Loop() {
					if _, err := client.Write(sent); err != nil {
						b.Fatal(err)
					}
					if _, err := io.ReadFull(client, got); err != nil {
						b.Fatal(err)
					}
				}
				_ = c.Close()
				<-done
			})
		}
	}
}

// BenchmarkWrite includes the peer's reading, without which the socket fills.
func BenchmarkWrite(b *testing.B) {
	for _, count := range []int{1, 16} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			server, client := tcpPair(b)
			c := websocket.New(server, limit, nil)
			frames := makeFrames(count)
			got := make([]byte, len(wire(frames)))
			b.ReportAllocs()
			for b.Loop() {
				if err := send(c, frames...); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(client, got); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkParse is the cost of a small message without any system call.
func BenchmarkParse(b *testing.B) {
	c := websocket.New(nil, limit, nil)
	e := &echoer{}
	p := masked(fin|binry, strings.Repeat("a", 100))
	b.ReportAllocs()
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		if err := c.Parse(e, p); err != nil {
			b.Fatal(err)
		}
		e.queued = e.queued[:0]
	}
}
