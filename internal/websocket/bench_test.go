package websocket_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/websocket"
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

func (e *echoer) ReadDone() bool {
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

// BenchmarkDeflate is what a message costs to be compressed.
func BenchmarkDeflate(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10} {
		frames := make([]*frame.Frame, 64) // more than fit into a window
		for name, o := range compressions() {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				o.Threshold = 1
				s := new(counting)
				c := compressing(b, s, o, pmd)
				b.ReportAllocs()
				b.SetBytes(int64(size))
				n := 0
				for b.Loop() {
					if n%len(frames) == 0 {
						b.StopTimer()
						for i := range frames {
							frames[i] = textFrame(json(size, uint64(i)))
						}
						b.StartTimer()
					}
					if err := send(c, frames[n%len(frames)]); err != nil {
						b.Fatal(err)
					}
					n++
				}
				b.ReportMetric(float64(s.n)/float64(n), "sent/op")
			})
		}
	}
}

// A counting connection counts what is written to it.
type counting struct {
	discardConn

	n int
}

func (c *counting) Write(p []byte) (int, error) {
	c.n += len(p)
	return len(p), nil
}

// BenchmarkDeflateBroadcast is what it costs for each of many receivers.
func BenchmarkDeflateBroadcast(b *testing.B) {
	for name, o := range compressions() {
		c := compressing(b, &discardConn{}, o, pmd)
		f := textFrame(json(16<<10, 1))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := send(c, f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkInflate is what a message costs to be decompressed.
func BenchmarkInflate(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10} {
		for name, o := range compressions() {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				c := compressing(b, &discardConn{}, o, pmd)
				p := masked(fin|rsv1|binry, newDeflating(b, false, 15).compress(json(size, 1)))
				sent := make([]byte, len(p))
				e := &echoer{}
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					copy(sent, p)
					if err := c.Parse(e, sent); err != nil {
						b.Fatal(err)
					}
					e.queued = e.queued[:0]
				}
			})
		}
	}
}

func compressions() map[string]websocket.DeflateOptions {
	best := safe()
	best.Level = 6
	return map[string]websocket.DeflateOptions{
		"default": safe(), "level 6": best, "takeover 2 KiB": bits(takeover(), 11, 15), "takeover 32 KiB": takeover(),
	}
}

func makeFrames(n int) []*frame.Frame {
	frames := make([]*frame.Frame, n)
	for i := range frames {
		frames[i] = textFrame(strings.Repeat("a", 100))
	}
	return frames
}
