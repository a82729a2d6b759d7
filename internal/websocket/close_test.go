package websocket_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/websocket"
)

func TestCloseEndsServe(t *testing.T) {
	for _, n := range networks() {
		server, client := n.pair(t)
		c := websocket.New(server, limit, nil)
		first := make(chan struct{})
		served := make(chan error)
		go func() {
			served <- c.Serve(&recorder{message: func(bool, []byte) { close(first) }})
		}()
		if _, err := client.Write(masked(fin|text, "a")); err != nil {
			t.Fatal(err)
		}
		<-first
		for range 2 {
			if err := c.Close(); err != nil {
				t.Errorf("%s: Close: %v", n.name, err)
			}
		}
		if err := <-served; err != net.ErrClosed {
			t.Errorf("%s: Serve: %v", n.name, err)
		}
		c.CloseWithin(time.Hour) // nothing is left to be done
	}
}

// A handler may close the connection, and hears nothing more of what the same
// read has brought.
func TestHandlerCloses(t *testing.T) {
	three := join(masked(fin|text, "1"), masked(fin|ping, "2"), masked(fin|text, "3"))
	for _, n := range networks() {
		for name, end := range map[string]func(*websocket.Conn){
			"Close":       func(c *websocket.Conn) { _ = c.Close() },
			"CloseWithin": func(c *websocket.Conn) { c.CloseWithin(0) },
		} {
			server, client := n.pair(t)
			c := websocket.New(server, limit, nil)
			go func() { _, _ = client.Write(three) }()
			r := new(recorder)
			r.message = func(bool, []byte) { end(c) }
			err := c.Serve(r)
			if len(r.events) != 1 || r.reads != 1 {
				t.Errorf("%s in %s: %q, %d reads", name, n.name, r.events, r.reads)
			}
			if !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s in %s: %v", name, n.name, err)
			}
			_ = c.Close()
		}
	}
}

// One flush follows each read, behind the last thing that it brought.
func TestFlushPerRead(t *testing.T) {
	c := websocket.New(script(nil), limit, join(masked(fin|text, "a"), masked(fin|ping, "b"), masked(fin|text, "c")[:4]))
	var r recorder
	if err := c.Serve(&r); err != io.EOF || r.reads != 1 || len(r.events) != 2 {
		t.Errorf("%v, %d reads, %q", err, r.reads, r.events)
	}
}

// The orderly end: the peer is told, its input is discarded, whatever it is, and
// Serve returns when the peer closes.
func TestCloseWithin(t *testing.T) {
	for _, n := range networks() {
		if n.name == "pipe" {
			continue // cannot be closed in one direction
		}
		server, client := n.pair(t)
		c := websocket.New(server, limit, nil)
		var r recorder
		served := make(chan error)
		go func() { served <- c.Serve(&r) }()
		go func() {
			_ = send(c, frame.Close(1000, ""))
			c.CloseWithin(time.Hour)
		}()
		got, err := io.ReadAll(client)
		if want := string(frame.Close(1000, "").Wire()); err != nil || string(got) != want {
			t.Errorf("%s: the peer read %q, %v", n.name, got, err)
		}
		if _, err := client.Write(join(masked(fin|text, "late"), []byte("garbage"))); err != nil {
			t.Error(err)
		}
		_ = client.Close()
		if err := <-served; err != io.EOF || len(r.events) > 0 {
			t.Errorf("%s: %v, %q", n.name, err, r.events)
		}
		_ = c.Close()
	}
}

// When both close frames are under way there is nothing to wait for.
func TestCloseWithinAfterPeer(t *testing.T) {
	for _, n := range networks()[:2] {
		server, client := n.pair(t)
		c := websocket.New(server, limit, nil)
		if _, err := client.Write(masked(fin|closeF, "\x03\xe8bye")); err != nil {
			t.Fatal(err)
		}
		if end := outcome(c.Serve(new(recorder))); end != "closed 1000 bye" {
			t.Error(end)
		}
		if err := send(c, frame.Close(1000, "")); err != nil {
			t.Error(err)
		}
		c.CloseWithin(time.Hour)
		c.Discard() // would wait for the client
		if _, err := c.Write([]*frame.Frame{textFrame("late")}); err != net.ErrClosed {
			t.Errorf("%s: writing later: %v", n.name, err)
		}
		got, err := io.ReadAll(client)
		if want := string(frame.Close(1000, "").Wire()); err != nil || string(got) != want {
			t.Errorf("%s: the peer read %q, %v", n.name, got, err)
		}
	}
}

func TestCloseWithinDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer client.Close()
		c := websocket.New(server, limit, nil)
		defer c.Close()
		start := time.Now()
		c.CloseWithin(time.Hour)
		c.CloseWithin(30 * time.Second)
		if err := c.Serve(new(recorder)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		if d := time.Since(start); d != 30*time.Second {
			t.Errorf("after %v", d)
		}
		if _, err := c.Write([]*frame.Frame{textFrame("a")}); err != nil {
			t.Error(err)
		}
		if err := c.Drain(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Drain: %v", err)
		}
	})
}

// A connection without deadlines could only be waited for in vain.
func TestCloseWithinWithoutDeadlines(t *testing.T) {
	server, _ := net.Pipe()
	c := websocket.New(noDeadlines{server}, limit, nil)
	c.CloseWithin(time.Hour)
	if err := c.Serve(new(recorder)); err != net.ErrClosed {
		t.Error(err)
	}
}

type noDeadlines struct{ net.Conn }

func (noDeadlines) SetDeadline(time.Time) error { return errors.ErrUnsupported }

// EIO-WS-6: a peer in the middle of a message that is too big gets to see why it
// is disconnected, and no reset.
func TestTooBigIsTold(t *testing.T) {
	for _, n := range networks() {
		if n.name == "pipe" {
			continue // takes no close frame from one who does not read
		}
		server, client := n.pair(t)
		c := websocket.New(server, 1000, nil)
		ended := make(chan string)
		go func() {
			end := outcome(c.Serve(new(recorder)))
			_ = send(c, frame.Close(1009, ""))
			c.CloseWithin(time.Hour)
			c.Discard()
			_ = c.Close()
			ended <- end
		}()
		if _, err := client.Write(masked(fin|text, strings.Repeat("a", 1<<20))); err != nil {
			t.Errorf("%s: %v", n.name, err)
		}
		f, err := ws.ReadFrame(client)
		if err != nil || f.Header.OpCode != ws.OpClose || string(f.Payload) != "\x03\xf1" {
			t.Errorf("%s: the peer read %v, %v", n.name, f, err)
		}
		_ = client.Close()
		if end := <-ended; end != "violation 1009" {
			t.Errorf("%s: %s", n.name, end)
		}
	}
}

// A type that embeds a socket may do something in its Read and Write, which must
// not be bypassed.
func TestWrappedSocket(t *testing.T) {
	server, client := tcpPair(t)
	tcp, ok := server.(*net.TCPConn)
	if !ok {
		t.Fatalf("%T", server)
	}
	counted := &counter{TCPConn: tcp}
	c := websocket.New(counted, limit, nil)
	p := masked(fin|text, "hello")
	if _, err := client.Write(p); err != nil {
		t.Fatal(err)
	}
	hangUp(client)
	if err := c.Serve(new(recorder)); err != io.EOF || counted.n != len(p) {
		t.Errorf("%d of %d bytes, %v", counted.n, len(p), err)
	}
}

type counter struct {
	*net.TCPConn

	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	c.n += n
	return n, err
}
