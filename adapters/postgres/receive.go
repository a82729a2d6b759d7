package postgresadapter

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sioplug/sioplug/adapters/cluster"
)

var (
	// errChannel refuses packets that did not come over their channel.
	errChannel = errors.New("postgresadapter: the packet is not for the channel that it came over")

	errNoRow = errors.New("postgresadapter: a notification names a row that the table does not have, or that is too large")
)

// maxFetch is how many rows are read at once.
const maxFetch = 64

// read passes on notifications that have come, with the rows of the table that they name. More
// may come meanwhile.
func (b *broker) read(l *listener) error {
	if len(l.inbox) == 0 {
		return nil
	}
	var ids []int64
	var items []item
	var rows []int64 // of items, 0 without one
	n := 0
	for ; n < len(l.inbox) && len(ids) < maxFetch; n++ {
		payload := []byte(l.inbox[n].Payload)
		id, err := readHeader(payload)
		if id > 0 {
			ids = append(ids, id)
		}
		items = append(items, item{channel: l.inbox[n].Channel, data: payload, err: err, size: len(payload) + itemOverhead})
		rows = append(rows, id)
	}
	l.inbox = l.inbox[n:]
	if len(ids) > 0 {
		if err := b.fetch(l, ids, items, rows); err != nil {
			for i := range items {
				b.pending.release(items[i].size)
			}
			return err
		}
	}
	b.pending.add(items)
	return nil
}

// fetch replaces notifications by the rows that they name.
func (b *broker) fetch(l *listener, ids []int64, items []item, rows []int64) error {
	ctx, cancel := context.WithTimeout(b.ctx, b.opts.ReadTimeout)
	defer cancel()
	payloads := make(map[int64][]byte)
	tooSlow := make(map[int64]bool)
	result, err := l.conn.Query(ctx, b.table.fetch, pgx.QueryExecModeCacheStatement, ids, b.opts.MaxPendingBytes)
	if err == nil {
		var id int64
		var payload []byte
		_, err = pgx.ForEachRow(result, []any{&id, &payload}, func() error {
			if !b.pending.reserve(len(payload)) {
				tooSlow[id], l.missing = true, errTooSlow
				return nil
			}
			payloads[id] = payload
			payload = nil
			return nil
		})
	}
	var refused *pgconn.PgError
	if err != nil && (l.conn.IsClosed() || !errors.As(err, &refused)) {
		for _, payload := range payloads {
			b.pending.release(len(payload))
		}
		return b.failed(ctx, err)
	}
	if err != nil {
		l.missing = fmt.Errorf("postgresadapter: reading the table %s: %w", b.table.name, err)
	}
	for i, id := range rows {
		payload, found := payloads[id]
		switch {
		case id == 0:
		case found:
			items[i].data = payload
			items[i].size += len(payload)
			delete(payloads, id) // the next notification of the same row is none of a server
		case err != nil || tooSlow[id]:
			items[i].data = nil
		default:
			items[i].err = errNoRow
		}
	}
	return nil
}

// deliver passes on what has come.
func (b *broker) deliver() {
	for {
		list := b.pending.take(b.ctx)
		if list == nil {
			return
		}
		for i := range list {
			if b.ctx.Err() != nil {
				return
			}
			b.receive(&list[i])
			b.pending.release(list[i].size)
			list[i] = item{}
		}
	}
}

// receive takes one message.
func (b *broker) receive(i *item) {
	if i.data == nil {
		return // it was dropped, which was said
	}
	p, err := (*cluster.Packet)(nil), i.err
	if err == nil {
		p, err = cluster.Decode(i.data)
	}
	if err == nil {
		var here bool
		if here, err = b.place(p, i.channel); !here && err == nil {
			return
		}
	}
	if err != nil {
		b.in.Refused(err)
		return
	}
	b.in.Receive(p)
}

// place completes a packet by the channel that it came over, since messages of the official
// emitter have no namespace. It reports whether this server still listens to that.
func (b *broker) place(p *cluster.Packet, channel string) (here bool, err error) {
	var fits bool
	switch channel {
	case b.servers():
		fits = p.Namespace == ""
	case b.server(b.self):
		fits = p.Namespace != "" && p.Type.IsResponse()
		p.To = b.self
	default:
		b.mu.Lock()
		namespace, ok := b.spaces[channel]
		b.mu.Unlock()
		if !ok {
			return false, nil
		}
		if p.Namespace == "" {
			p.Namespace = namespace
		}
		fits = p.Namespace == namespace
	}
	if !fits {
		return false, errChannel
	}
	return true, nil
}
