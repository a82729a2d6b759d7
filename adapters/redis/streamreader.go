package redisadapter

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/sioplug/sioplug/adapters/internal/sharedlog"
)

// A streamReader reads a stream from its end on, over a connection of its own. After that has
// failed, it goes on where it was.
type streamReader struct {
	nodes *nodes
	key   string
	count int
	block time.Duration
	entry func(id entryID, fields []reply)
	begin func(position entryID)
	state *streamState

	advance func(id entryID) // called when the entries up to id have been passed on

	begun    bool
	position entryID // of the last entry
}

func (r *streamReader) run(ctx context.Context) {
	b := backoff{}
	for ctx.Err() == nil {
		addr, began, err := r.session(ctx)
		if ctx.Err() != nil {
			return
		}
		r.state.disconnected(r.key, err)
		if _, moved := r.nodes.moved(ctx, addr, r.key, err); !moved {
			r.nodes.failed(ctx, addr)
		}
		if began {
			b = backoff{}
		}
		if b.wait(ctx) != nil {
			return
		}
	}
}

// session reads until the connection fails. It reports whether it could begin.
func (r *streamReader) session(ctx context.Context) (addr string, began bool, err error) {
	if addr, err = r.nodes.owner(ctx, r.key); err != nil {
		return addr, false, err
	}
	c, err := r.nodes.dial(ctx, addr)
	if err != nil {
		return addr, false, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	replies := newReplyReader(c)
	missed, err := r.find(c, replies)
	if err != nil {
		return addr, false, err
	}
	r.begin(r.position)
	r.advance(r.position)
	r.state.connected(r.key, missed)
	for {
		if err := r.read(c, replies); err != nil {
			return addr, true, err
		}
	}
}

// ask sends a command and waits for the reply.
func (r *streamReader) ask(c *conn, replies *replyReader, wait time.Duration, args ...string) (reply, error) {
	if _, err := c.write(appendCommand(nil, args...)); err != nil {
		return reply{}, err
	}
	if err := c.SetReadDeadline(time.Now().Add(wait + c.timeout)); err != nil {
		return reply{}, err
	}
	v, err := replies.next()
	if err != nil {
		return reply{}, err
	}
	return v, v.err()
}

// find finds out where to begin, or whether entries after the position were trimmed away.
func (r *streamReader) find(c *conn, replies *replyReader) (missed bool, err error) {
	v, err := r.ask(c, replies, 0, "XINFO", "STREAM", r.key)
	var refused serverError
	if errors.As(err, &refused) && strings.Contains(string(refused), "no such key") {
		missed = r.begun && r.position != entryID{} // it was deleted, or Redis has come back empty
		r.begun, r.position = true, entryID{}
		return missed, nil
	}
	if err != nil {
		return false, err
	}
	var first, last entryID
	ok := true
	for i := 0; i+1 < len(v.items); i += 2 {
		value := v.items[i+1]
		switch string(v.items[i].text) {
		case "last-generated-id":
			last, ok = sharedlog.ParsePlace(string(value.text))
		case "first-entry":
			if len(value.items) > 0 {
				first, ok = sharedlog.ParsePlace(string(value.items[0].text))
			}
		}
		if !ok {
			return false, errProtocol
		}
	}
	switch {
	case !r.begun:
		r.position = last
	case last.Compare(r.position) < 0: // it has lost its end: what is earlier has been passed on
		missed, r.position = true, last
	case last != r.position:
		missed = first.Compare(r.position) > 0 || first == entryID{}
	}
	r.begun = true
	return missed, nil
}

// read waits for entries and passes them on. The position moves before an entry is looked
// at, so that none is read twice (CF-1).
func (r *streamReader) read(c *conn, replies *replyReader) error {
	v, err := r.ask(c, replies, r.block, "XREAD", "COUNT", strconv.Itoa(r.count),
		"BLOCK", strconv.FormatInt(r.block.Milliseconds(), 10), "STREAMS", r.key, r.position.String())
	if err != nil || v.null {
		return err
	}
	if len(v.items) != 1 || len(v.items[0].items) != 2 {
		return errProtocol
	}
	for _, e := range v.items[0].items[1].items {
		if len(e.items) != 2 {
			return errProtocol
		}
		id, ok := sharedlog.ParsePlace(string(e.items[0].text))
		if !ok {
			return errProtocol
		}
		r.position = id
		if e.large {
			r.state.Refused(errTooLarge)
			continue
		}
		r.entry(id, e.items[1].items)
		r.advance(id)
	}
	return nil
}
