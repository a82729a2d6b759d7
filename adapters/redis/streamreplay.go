package redisadapter

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/adapters/internal/sharedlog"
	"github.com/sioplug/sioplug/core/adapter"
)

// replayPage is how many entries are read at once.
const replayPage = 100

// The members of an entry (ECO-ST-1).
const (
	fieldUID  = "uid"
	fieldNSP  = "nsp"
	fieldType = "type"
	fieldData = "data"
)

var errEntry = errors.New("redisadapter: an entry of the stream is no message")

// A streamEntry is one of a stream, not decoded yet.
type streamEntry struct {
	id                          entryID
	from, namespace, kind, data string
}

// newStreamEntry reads the members of an entry. ok is false if it is none of a cluster.
func newStreamEntry(m redis.XMessage) (e streamEntry, ok bool) {
	e.id, ok = sharedlog.ParsePlace(m.ID)
	for name, value := range m.Values {
		if to := e.field(name); to != nil {
			*to, _ = value.(string)
		}
	}
	return e, ok && e.namespace != "" && e.kind != ""
}

// field returns where the member of that name is, nil if nobody needs it.
func (e *streamEntry) field(name string) *string {
	switch name {
	case fieldUID:
		return &e.from
	case fieldNSP:
		return &e.namespace
	case fieldType:
		return &e.kind
	case fieldData:
		return &e.data
	default:
		return nil
	}
}

// decode decodes an entry: its data is JSON, or MessagePack in base64.
func (e *streamEntry) decode() (*cluster.Packet, error) {
	t, err := strconv.ParseUint(e.kind, 10, 8)
	if err != nil {
		return nil, fmt.Errorf("%w: its type is %.20q", errEntry, e.kind)
	}
	data := []byte(e.data)
	if !strings.HasPrefix(e.data, "{") {
		if data, err = base64.StdEncoding.DecodeString(e.data); err != nil {
			return nil, fmt.Errorf("%w: %w", errEntry, err)
		}
	}
	return cluster.DecodeData(cluster.Type(t), e.from, e.namespace, data)
}

// Replay implements [adapter.Log]. It reads no further than the reader of the stream, which
// passes on what comes behind.
func (l *streamLog) Replay(
	ctx context.Context, offset string, limit int, f func(m *adapter.Message, offset string), last func(),
) (more bool, err error) {
	after, ok := sharedlog.ParsePlace(offset)
	if !ok || l.order.At() == (entryID{}) { // or it is not known yet what the reader will pass on
		return false, adapter.ErrUnknownOffset
	}
	if !l.order.Await(ctx, after) { // otherwise the reader would pass on again what the client has
		return false, adapter.ErrUnknownOffset
	}
	r := &streamReplay{log: l, after: after, limit: limit, f: f}
	for first := true; ; first = false {
		end := l.order.At()
		caughtUp, err := r.page(ctx, end, first)
		switch {
		case err != nil:
			return false, err
		case r.bytes >= limit && r.found > 0 && !caughtUp:
			return true, nil
		case caughtUp && l.order.AtEnd(end, last):
			return false, nil
		}
	}
}

// A streamReplay is a call of Replay.
type streamReplay struct {
	log   *streamLog
	after entryID // of the last entry that was looked at
	limit int
	f     func(m *adapter.Message, offset string)
	found int
	bytes int
}

// page reads the next entries, up to end or the limit. It reports whether it has come to
// end. The first time, after has to be in the stream; later, nothing behind it may have been
// trimmed.
func (r *streamReplay) page(ctx context.Context, end entryID, first bool) (caughtUp bool, err error) {
	if !first && r.after.Compare(end) >= 0 {
		return true, nil
	}
	l := r.log
	stream := l.logs.streamOf(l.namespace)
	messages, err := l.logs.client.XRangeN(ctx, stream, r.after.String(), "+", replayPage+1).Result()
	if err != nil {
		return false, fmt.Errorf("redisadapter: reading what a client has missed: %w", err)
	}
	messages, ok := r.behind(messages)
	if !ok {
		return false, adapter.ErrUnknownOffset // it has been trimmed
	}
	for _, m := range messages {
		e, ok := newStreamEntry(m)
		if e.id.Compare(end) > 0 {
			return true, nil
		}
		if r.found > 0 && r.bytes >= r.limit {
			return false, nil
		}
		r.after = e.id
		if ok && e.namespace == l.namespace {
			r.take(&e)
		}
	}
	return len(messages) < replayPage, nil
}

// behind returns the entries behind after. ok is false if some may be missing.
func (r *streamReplay) behind(messages []redis.XMessage) (_ []redis.XMessage, ok bool) {
	if len(messages) > 0 && messages[0].ID == r.after.String() {
		return messages[1:], true
	}
	next, ok := r.log.order.Next(r.after) // there is no entry where reading began
	return messages, ok && (next == entryID{} || len(messages) > 0 && messages[0].ID == next.String())
}

func (r *streamReplay) take(e *streamEntry) {
	p, err := e.decode()
	if err != nil || p.Message == nil || p.RequestID != "" || !sharedlog.InLog(p.Message) {
		return
	}
	r.found++
	r.bytes += len(e.data)
	r.f(p.Message, e.id.String())
}
