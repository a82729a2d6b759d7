package natsadapter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/adapters/internal/sharedlog"
	"github.com/sioplug/sioplug/core/adapter"
)

// A jetLog is the [adapter.Log] of a namespace over a stream of JetStream.
type jetLog struct {
	*sharedlog.Log

	logs      *jetLogs
	namespace string
}

// A jetSession is a session as it stands in the stream of sessions. Its private id is not there:
// so who can read the stream cannot continue a session.
type jetSession struct {
	ID        string          `json:"id"`
	Data      json.RawMessage `json:"data,omitempty"`
	Positions json.RawMessage `json:"positions"`
}

// server returns the part of the server that has the stream.
func (l *jetLog) server() (*jetStream, error) {
	if j := l.logs.js.Load(); j != nil {
		return j, nil
	}
	return nil, adapter.ErrClosed
}

// Save implements [adapter.Log].
func (l *jetLog) Save(ctx context.Context, s *adapter.Session) error {
	j, err := l.server()
	if err != nil {
		return err
	}
	_, recovers := j.recovers()
	barrier, ok := l.SaveBarrier()
	if !recovers || !ok {
		return errEarly
	}
	positions, err := sharedlog.EncodeSession(s, barrier)
	var data []byte
	if err == nil {
		data, err = json.Marshal(jetSession{s.ID, s.Data, positions})
	}
	if err != nil {
		return fmt.Errorf("natsadapter: encoding a session: %w", err)
	}
	if err := j.put(ctx, l.namespace, s.PID, data, nil); err != nil {
		return fmt.Errorf("natsadapter: saving a session: %w", err)
	}
	return nil
}

// put stores what a session has become.
func (j *jetStream) put(ctx context.Context, namespace, pid string, data []byte, header nats.Header) error {
	if limit := j.nc.MaxPayload(); int64(len(data)) > limit {
		return fmt.Errorf("%w: it has %d bytes, and max_payload of NATS is %d", cluster.ErrTooLarge, len(data), limit)
	}
	m, err := j.requests.do(ctx, j.self, &nats.Msg{Subject: j.session(namespace, pid), Header: header, Data: data}, j.subjects)
	if err != nil {
		return err
	}
	return ackErrorOf(m, j.opts.sessionsName())
}

const (
	// maxPID is longer than any private id.
	maxPID = 100

	// expectedHeader makes JetStream store a message only if the last one with its subject has
	// that number, and wrongSequence is its error otherwise.
	expectedHeader = "Nats-Expected-Last-Subject-Sequence"
	wrongSequence  = 10071
)

// Claim implements [adapter.Log]. An empty message takes the place of the session. JetStream
// stores it only if the session is still the last message there: so one caller alone gets it.
func (l *jetLog) Claim(ctx context.Context, pid, offset string) (*adapter.Session, error) {
	at, ok := sharedlog.ParsePlace(offset)
	j, err := l.server()
	if err != nil {
		return nil, err
	}
	if !ok || pid == "" || len(pid) > maxPID || at.Major != j.logs.order.At().Major {
		return nil, adapter.ErrUnknownSession
	}
	found, err := j.get(ctx, j.opts.sessionsName(), getRequest{Last: j.session(l.namespace, pid)})
	if err != nil {
		return nil, fmt.Errorf("natsadapter: claiming a session: %w", err)
	}
	if found.gone || len(found.data) == 0 {
		return nil, adapter.ErrUnknownSession
	}
	s, barrier, err := readJetSession(found.data, pid)
	if err != nil || at.Compare(barrier) < 0 || !j.logs.order.Await(ctx, at) || !l.reaches(j, at) {
		return nil, adapter.ErrUnknownSession
	}
	if has, err := l.has(ctx, j, at); err != nil || !has {
		return nil, errors.Join(adapter.ErrUnknownSession, err)
	}
	err = j.put(ctx, l.namespace, pid, nil, nats.Header{expectedHeader: {strconv.FormatUint(found.seq, 10)}})
	var api *apiError
	if errors.As(err, &api) && api.ErrCode == wrongSequence {
		return nil, adapter.ErrUnknownSession // another one was faster
	}
	if err != nil {
		return nil, fmt.Errorf("natsadapter: claiming a session: %w", err)
	}
	return s, nil
}

func readJetSession(data []byte, pid string) (s *adapter.Session, barrier sharedlog.Place, err error) {
	var v jetSession
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, barrier, err
	}
	if v.ID == "" {
		return nil, barrier, adapter.ErrUnknownSession
	}
	s = &adapter.Session{ID: v.ID, PID: pid, Data: v.Data}
	if barrier, err = sharedlog.DecodeSession(v.Positions, s); err != nil {
		return nil, barrier, err
	}
	return s, barrier, nil
}

// reaches reports whether a client that has got everything up to a place may come back: the
// place is in the stream that is read, no message is outside of it, and no fence lies between.
func (l *jetLog) reaches(j *jetStream, at sharedlog.Place) bool {
	end := j.logs.order.At()
	fence, ok := j.recovers()
	return ok && at.Major == end.Major && at.Compare(end) <= 0 && at.Compare(fence) >= 0
}

// has reports whether the stream has everything behind a place.
func (l *jetLog) has(ctx context.Context, j *jetStream, at sharedlog.Place) (bool, error) {
	if at == j.logs.order.At() {
		return true, nil
	}
	s, err := j.get(ctx, j.opts.StreamName, getRequest{Seq: at.Minor + 1})
	return !s.gone, err
}

const (
	// replayTimeout is how long one call of Replay may take.
	replayTimeout = 5 * time.Second

	// firstPage is how many messages a replay asks for at first.
	firstPage = 16
)

// A jetReplay is a call of Replay.
type jetReplay struct {
	*jetLog

	js    *jetStream
	after sharedlog.Place // of the last message that was looked at
	limit int
	f     func(m *adapter.Message, offset string)
	found int
	bytes int

	checked bool // the stream had what comes behind, when this call began
}

// Replay implements [adapter.Log]. It reads no further than the reader of the stream, which
// passes on what comes behind.
func (l *jetLog) Replay(
	ctx context.Context, offset string, limit int, f func(m *adapter.Message, offset string), last func(),
) (more bool, err error) {
	after, ok := sharedlog.ParsePlace(offset)
	j, err := l.server()
	if err != nil {
		return false, err
	}
	if !ok {
		return false, adapter.ErrUnknownOffset
	}
	ctx, cancel := context.WithTimeout(ctx, replayTimeout)
	defer cancel()
	r := &jetReplay{jetLog: l, js: j, after: after, limit: limit, f: f}
	for l.reaches(j, r.after) {
		end := j.logs.order.At()
		if more, err := r.upTo(ctx, end); more || err != nil {
			return more, err
		}
		reaches := true
		done := j.logs.order.AtEnd(end, func() {
			if reaches = l.reaches(j, r.after); reaches && last != nil {
				last()
			}
		})
		if done && reaches {
			return false, nil
		}
	}
	return false, adapter.ErrUnknownOffset
}

// upTo replays the messages up to a place, or the limit.
func (r *jetReplay) upTo(ctx context.Context, end sharedlog.Place) (more bool, err error) {
	for n := firstPage; r.after.Minor < end.Minor; n = maxPage {
		if r.full() {
			return true, nil
		}
		recent, err := r.recent(ctx, end)
		if err != nil {
			return false, err
		}
		if len(recent) > 0 {
			r.takeAll(recent)
			continue
		}
		list, err := r.js.page(ctx, r.after.Minor+1, int(min(uint64(n), end.Minor-r.after.Minor)))
		if err != nil {
			return false, fmt.Errorf("natsadapter: reading what a client has missed: %w", err)
		}
		if slices.ContainsFunc(list, func(s stored) bool { return s.gone }) {
			return false, adapter.ErrUnknownOffset
		}
		before := r.found
		if !r.takeAll(list) {
			return true, nil
		}
		if r.found == before {
			if err := r.jump(ctx, end); err != nil {
				return false, err
			}
		}
	}
	return false, nil
}

// recent returns the next messages, if they are in the memory of this server. The stream has to
// have them as well: it is asked for the first one.
func (r *jetReplay) recent(ctx context.Context, end sharedlog.Place) ([]stored, error) {
	n := int(min(maxRecentPage, end.Minor-r.after.Minor))
	list := r.js.recent.from(r.after.Major, r.after.Minor+1, n)
	if len(list) == 0 || r.checked {
		return list, nil
	}
	s, err := r.js.get(ctx, r.js.opts.StreamName, getRequest{Seq: r.after.Minor + 1})
	if err != nil {
		return nil, fmt.Errorf("natsadapter: reading what a client has missed: %w", err)
	}
	if s.gone {
		return nil, adapter.ErrUnknownOffset
	}
	r.checked = true
	return list, nil
}

// takeAll looks at messages until the limit, and reports whether it has looked at all.
func (r *jetReplay) takeAll(list []stored) bool {
	for i := range list {
		if r.full() {
			return false
		}
		r.take(&list[i])
	}
	return true
}

func (r *jetReplay) full() bool { return r.found > 0 && r.bytes >= r.limit }

// take looks at a message.
func (r *jetReplay) take(s *stored) {
	r.after.Minor = s.seq
	if s.subject != r.js.stored(r.namespace) {
		return
	}
	p, err := cluster.Decode(s.data)
	if err != nil || p.Namespace != r.namespace || p.Message == nil || p.RequestID != "" || !sharedlog.InLog(p.Message) {
		return
	}
	r.found++
	r.bytes += len(s.data)
	r.f(p.Message, r.after.String())
}

// jump goes on to the next message of the namespace, if all in between are of others.
func (r *jetReplay) jump(ctx context.Context, end sharedlog.Place) error {
	if r.after.Minor >= end.Minor {
		return nil
	}
	from := r.after.Minor + 1
	next, err := r.js.get(ctx, r.js.opts.StreamName, getRequest{Seq: from, Next: r.js.stored(r.namespace)})
	if err != nil {
		return fmt.Errorf("natsadapter: reading what a client has missed: %w", err)
	}
	if next.gone || next.seq > end.Minor {
		r.after.Minor = end.Minor
	} else {
		r.after.Minor = next.seq - 1
	}
	still, err := r.js.get(ctx, r.js.opts.StreamName, getRequest{Seq: from})
	if err != nil {
		return fmt.Errorf("natsadapter: reading what a client has missed: %w", err)
	}
	if still.gone { // others may have been trimmed with it
		return adapter.ErrUnknownOffset
	}
	return nil
}
