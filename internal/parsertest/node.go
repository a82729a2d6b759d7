// Package parsertest compares parsers with the official ones, which run in Node, by
// generated packets.
package parsertest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/sioplug/sioplug/internal/require"
)

// Names of the official parsers.
const (
	Standard = "standard" // socket.io-parser
	Msgpack  = "msgpack"  // socket.io-msgpack-parser
)

// A Frame is a message: text, or binary if Binary is not nil.
type Frame struct {
	Text   string `json:"text,omitempty"`
	Binary []byte `json:"binary,omitempty"`
}

// MarshalJSON keeps an empty binary message apart from an empty text.
func (f Frame) MarshalJSON() ([]byte, error) {
	if f.Binary != nil {
		return json.Marshal(map[string][]byte{"binary": f.Binary})
	}
	return json.Marshal(map[string]string{"text": f.Text})
}

// An Oddity is a value that only JavaScript has, as the second argument of an event.
type Oddity struct {
	Name   string
	Frames []Frame
	Value  any // what JSON.stringify makes of it
}

// Node is a process of test/interop/support/parsers.js.
type Node struct {
	tb     testing.TB
	parser string
	in     io.Writer
	out    io.Reader
}

// Start starts a process that uses a parser. It ends with the test.
func Start(tb testing.TB, parser string) *Node {
	tb.Helper()
	_, here, _, _ := runtime.Caller(0)
	dir := filepath.Join(filepath.Dir(here), "..", "..", "test", "interop")
	node := require.Tool(tb, "node")
	require.NodePackages(tb, dir)
	cmd := exec.CommandContext(context.Background(), node, filepath.Join("support", "parsers.js")) //nolint:gosec // a fixed script
	cmd.Dir = dir
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = in.Close() // which ends the process
		if err := cmd.Wait(); err != nil && !tb.Failed() {
			tb.Errorf("node: %v\n%s", err, complaints.Bytes())
		}
	})
	return &Node{tb: tb, parser: parser, in: in, out: out}
}

// A request is a line for the process, and an answer one from it.
type request struct {
	Op     string      `json:"op"`
	Parser string      `json:"parser"`
	Packet *wirePacket `json:"packet,omitempty"`
	Frames []Frame     `json:"frames,omitempty"`
}

type answer struct {
	Error    string
	Frames   []Frame
	Packet   *wirePacket
	Oddities []Oddity
}

// Encode has the official parser encode packets.
func (n *Node) Encode(packets []Packet) (frames [][]Frame) {
	n.tb.Helper()
	var requests []request
	for _, p := range packets {
		requests = append(requests, request{Op: "encode", Packet: p.toWire()})
	}
	for i, a := range n.do(requests) {
		if a.Error != "" {
			n.tb.Fatalf("the official parser does not encode %v: %s", packets[i], a.Error)
		}
		frames = append(frames, a.Frames)
	}
	return frames
}

// Decode has the official parser decode packets, each from its frames.
func (n *Node) Decode(frames [][]Frame) (packets []Packet) {
	n.tb.Helper()
	var requests []request
	for _, f := range frames {
		requests = append(requests, request{Op: "decode", Frames: f})
	}
	for i, a := range n.do(requests) {
		if a.Error != "" {
			n.tb.Fatalf("the official parser does not decode %v: %s", frames[i], a.Error)
		}
		packets = append(packets, a.Packet.fromWire())
	}
	return packets
}

// Oddities returns events with values that only JavaScript has.
func (n *Node) Oddities() []Oddity {
	n.tb.Helper()
	list := n.do([]request{{Op: "oddities"}})[0].Oddities
	for i := range list {
		list[i].Value = unwrap(list[i].Value)
	}
	return list
}

// do sends requests and returns the answers.
func (n *Node) do(requests []request) []answer {
	n.tb.Helper()
	sent := make(chan error, 1)
	go func() { // ends with the process at the latest
		e := json.NewEncoder(n.in)
		e.SetEscapeHTML(false)
		var err error
		for _, r := range requests {
			r.Parser = n.parser
			if err = e.Encode(r); err != nil {
				break
			}
		}
		sent <- err
	}()
	answers := make([]answer, len(requests))
	d := json.NewDecoder(n.out)
	for i := range answers {
		if err := d.Decode(&answers[i]); err != nil {
			n.tb.Fatalf("answer %d of node: %v", i, err)
		}
	}
	if err := <-sent; err != nil {
		n.tb.Fatalf("asking node: %v", err)
	}
	return answers
}
