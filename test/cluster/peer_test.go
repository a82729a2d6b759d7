package cluster_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/sioplug/sioplug/internal/require"
)

// maxLine bounds a line of a peer.
const maxLine = 16 << 20

// A peer is a process of Node.js that runs node/main.js. It ends with the test.
type peer struct {
	t     *testing.T
	diary *diary
	cmd   *exec.Cmd
	done  chan struct{} // closed when it has ended

	// expected is how many errors may come that nothing in the process catches: without
	// the catch in node/main.js, it would end by the first.
	expected int

	quiet bool // nothing may be written to standard error

	mu      sync.Mutex
	stdin   io.WriteCloser
	last    int
	pending map[int]chan reply
}

// A reply is the answer to a command.
type reply struct {
	Result json.RawMessage
	Error  string
}

// errPeerEnded is the error of commands that a peer did not answer.
var errPeerEnded = errors.New("the process has ended")

func startPeer(t *testing.T, d *diary) *peer {
	t.Helper()
	node := require.Tool(t, "node")
	require.NodePackages(t, "node")
	p := &peer{t: t, diary: d, done: make(chan struct{}), pending: make(map[int]chan reply)}
	p.cmd = exec.CommandContext(context.Background(), node, filepath.Join("node", "main.js"))
	var stderr bytes.Buffer
	p.cmd.Stderr = &stderr
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdin = stdin
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process
		defer close(p.done)
		p.read(stdout)
		_ = p.cmd.Wait() // what it wrote to stderr says more
	}()
	t.Cleanup(func() {
		p.kill()
		if stderr.Len() > 0 {
			if p.quiet {
				t.Error("Node.js has written to standard error")
			}
			t.Logf("Node.js wrote to standard error:\n%s", &stderr)
		}
		for _, text := range d.since(uncaught, p.expected) {
			t.Errorf("uncaught in Node.js: %s", text)
		}
	})
	return p
}

// kill ends the process without a word.
func (p *peer) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// read takes the lines of the process.
func (p *peer) read(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			p.t.Logf("Node.js wrote: %s", lines.Bytes())
			continue
		}
		if l.Note != "" {
			p.note(&l)
			continue
		}
		p.mu.Lock()
		answer := p.pending[l.ID]
		delete(p.pending, l.ID)
		p.mu.Unlock()
		if answer != nil {
			answer <- l.reply
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, answer := range p.pending {
		close(answer)
	}
	p.pending = nil
}

// A line is what a peer writes: a reply, or a note.
type line struct {
	reply

	ID     int
	Note   string
	Client string
	Server string
	NS     string
	Args   json.RawMessage
	Reason string
}

func (p *peer) note(l *line) {
	switch l.Note {
	case "received":
		p.diary.add(received(l.Client), canonical(l.Args))
	case "disconnect":
		p.diary.add(disconnected(l.Client), l.Reason)
	case "server":
		p.diary.add(told(l.Server, l.NS), canonical(l.Args))
	case "redis":
		p.t.Logf("%s's connection to Redis: %s", l.Server, l.Error)
	case "uncaught":
		p.diary.add(uncaught, l.Error)
	default:
		p.t.Errorf("unknown note %q", l.Note)
	}
}

// A request is a line that a peer reads.
type request struct {
	ID   int    `json:"id"`
	Role string `json:"role"`
	Name string `json:"name"`
}

// call sends a command, whose fields are those of an object, and waits for the reply.
func (p *peer) call(ctx context.Context, role, name string, command, result any) error {
	answer := make(chan reply, 1)
	if err := p.send(role, name, command, answer); err != nil {
		return err
	}
	select {
	case r, ok := <-answer:
		switch {
		case !ok:
			return errPeerEnded
		case r.Error != "":
			return fmt.Errorf("%s %s: %s", role, name, r.Error) //nolint:err113 // of Node.js
		}
		return json.Unmarshal(r.Result, result)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *peer) send(role, name string, command any, answer chan reply) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending == nil {
		return errPeerEnded
	}
	p.last++
	fields, err := json.Marshal(command)
	if err != nil {
		return err
	}
	text, err := json.Marshal(request{p.last, role, name})
	if err != nil {
		return err
	}
	// Both are objects, of which the first is never empty.
	text = append(append(text[:len(text)-1], ','), append(fields[1:], '\n')...)
	p.pending[p.last] = answer
	_, err = p.stdin.Write(text)
	return err
}
