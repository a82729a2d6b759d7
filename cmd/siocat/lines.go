package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
)

// maxLine is how many bytes a line of the input may have.
const maxLine = 16 << 20

// emitAll emits the events of all lines.
func emitAll(ctx context.Context, s *sioclient.Socket, in io.Reader, p *printer, timeout time.Duration) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for lines.Scan() && ctx.Err() == nil {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		if err := emit(ctx, s, line, p, timeout); err != nil {
			p.print("error", "", err.Error())
		}
	}
	flushing, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := s.Flush(flushing); err != nil && !errors.Is(err, sioclient.ErrDisconnected) {
		return err
	}
	return lines.Err()
}

func emit(ctx context.Context, s *sioclient.Socket, line string, p *printer, timeout time.Duration) error {
	line, wantsAck := strings.CutPrefix(line, "?")
	name, args, err := parseLine(line)
	if err != nil || !wantsAck {
		if err == nil {
			err = s.Emit(name, args...)
		}
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err := s.EmitWithAck(ctx, name, args...)
	if err != nil {
		return err
	}
	return p.args("ack", name, answer)
}

// parseLine splits a line into the name of an event and its arguments.
func parseLine(line string) (name string, args []any, err error) {
	name, rest, _ := strings.Cut(line, " ")
	for d := json.NewDecoder(strings.NewReader(rest)); ; {
		var v any
		switch err := d.Decode(&v); {
		case errors.Is(err, io.EOF):
			return name, args, nil
		case err != nil:
			return "", nil, fmt.Errorf("the arguments of %q are no JSON: %w", name, err)
		}
		args = append(args, v)
	}
}

// A printer prints what happens, one line each. It is safe for concurrent use.
type printer struct {
	json, colours bool

	mu sync.Mutex
	w  io.Writer
}

// event prints an event of the server.
func (p *printer) event(c *sioclient.Ctx) error { return p.args("event", c.Event(), c.Args()) }

func (p *printer) args(kind, name string, args sio.Args) error {
	values, err := args.Values()
	if err != nil {
		return err
	}
	if values == nil {
		values = []any{}
	}
	p.print(kind, name, values...)
	return nil
}

// marks are what stands in front of a line, and its colour.
func marks(kind string) (mark, colour string) {
	switch kind {
	case "event":
		return "<", "\x1b[36m"
	case "ack":
		return "=", "\x1b[32m"
	case "error", "disconnect":
		return "!", "\x1b[31m"
	default:
		return "#", "\x1b[2m"
	}
}

func (p *printer) print(kind, name string, values ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.json {
		line, err := json.Marshal(struct {
			Type  string `json:"type"`
			Event string `json:"event,omitempty"`
			Args  []any  `json:"args"`
		}{kind, name, values})
		if err == nil {
			_, _ = fmt.Fprintf(p.w, "%s\n", printable(string(line)))
		}
		return
	}
	mark, colour := marks(kind)
	if name == "" {
		name = kind
	}
	parts := []string{mark, printable(name)}
	for _, v := range values {
		arg, err := json.Marshal(v)
		if err != nil {
			arg = []byte("?")
		}
		parts = append(parts, printable(string(arg)))
	}
	text := strings.Join(parts, " ")
	if p.colours {
		text = colour + text + "\x1b[0m"
	}
	_, _ = io.WriteString(p.w, text+"\n")
}
