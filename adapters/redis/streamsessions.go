package redisadapter

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sioplug/sioplug/adapters/internal/clusterwire"
	"github.com/sioplug/sioplug/adapters/internal/sharedlog"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/msgpackjson"
	"github.com/sioplug/sioplug/internal/packet"
)

// errEarly is the error of Save while messages that clients have may come into the stream
// later: whoever came back would get them again.
const errEarly = sharedlog.EarlyError("redisadapter: not kept, because messages to the client are not in the stream yet")

// A streamSession is a session as it stands in Redis (ECO-ST-9): what official servers know,
// and in Own what they do not: see [sharedlog.EncodeSession].
type streamSession struct {
	SID   string
	PID   string
	Rooms []string
	Data  json.RawMessage
	Own   string

	Namespace string // "" if an official server has saved it
}

// Save implements [adapter.Log].
func (l *streamLog) Save(ctx context.Context, s *adapter.Session) error {
	barrier, ok := l.SaveBarrier()
	if !ok {
		return errEarly
	}
	own, err := sharedlog.EncodeSession(s, barrier)
	if err != nil {
		return fmt.Errorf("redisadapter: encoding a session: %w", err)
	}
	w := streamSession{SID: s.ID, PID: s.PID, Data: s.Data, Own: string(own), Namespace: l.namespace}
	for _, stay := range s.Rooms {
		if stay.To == "" {
			w.Rooms = append(w.Rooms, stay.Room)
		}
	}
	data, err := w.encode()
	if err != nil {
		return fmt.Errorf("redisadapter: encoding a session: %w", err)
	}
	key := l.logs.sessionKey(s.PID)
	if err := l.logs.client.Set(ctx, key, base64.StdEncoding.EncodeToString(data), l.keep).Err(); err != nil {
		return fmt.Errorf("redisadapter: saving a session: %w", err)
	}
	l.logs.limitSessions(ctx, key, l.keep)
	return nil
}

// maxPID is longer than any private id.
const maxPID = 100

// Claim implements [adapter.Log].
func (l *streamLog) Claim(ctx context.Context, pid, offset string) (*adapter.Session, error) {
	id, ok := sharedlog.ParsePlace(offset)
	if !ok || pid == "" || len(pid) > maxPID {
		return nil, adapter.ErrUnknownSession
	}
	text, err := l.logs.take(ctx, l.logs.sessionKey(pid))
	if errors.Is(err, redis.Nil) {
		return nil, adapter.ErrUnknownSession
	}
	if err != nil {
		return nil, fmt.Errorf("redisadapter: claiming a session: %w", err)
	}
	s, namespace, barrier, err := readSession(text, offset)
	if err != nil || s.PID != pid || id.Compare(barrier) < 0 || namespace != "" && namespace != l.namespace {
		return nil, adapter.ErrUnknownSession
	}
	found, err := l.logs.client.XRangeN(ctx, l.logs.streamOf(l.namespace), offset, offset, 1).Result()
	if err != nil {
		return nil, fmt.Errorf("redisadapter: claiming a session: %w", err)
	}
	if len(found) == 0 {
		return nil, adapter.ErrUnknownSession
	}
	if namespace == "" { // at least the client got something here
		if e, ok := newStreamEntry(found[0]); !ok || e.namespace != l.namespace {
			return nil, adapter.ErrUnknownSession
		}
	}
	return s, nil
}

// take returns the value of a key and removes it, for one caller alone.
func (l *streamLogs) take(ctx context.Context, key string) (string, error) {
	var value *redis.StringCmd
	_, err := l.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		value = p.Get(ctx, key)
		p.Del(ctx, key)
		return nil
	})
	if err != nil {
		return "", err
	}
	return value.Result()
}

// readSession decodes a session. An official server does not say since when the client has
// been in its rooms: the client gets what was said in them after its offset. Nor does it name
// the namespace.
func readSession(text, offset string) (s *adapter.Session, namespace string, barrier entryID, err error) {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, "", barrier, err
	}
	w, err := readStreamSession(data)
	if err != nil {
		return nil, "", barrier, err
	}
	s = &adapter.Session{ID: w.SID, PID: w.PID, Data: w.Data}
	if w.Own == "" {
		s.From, s.Complete, s.Left = offset, offset, offset
		for _, room := range w.Rooms {
			s.Rooms = append(s.Rooms, adapter.Stay{Room: room, From: offset})
		}
		return s, "", barrier, nil
	}
	barrier, err = sharedlog.DecodeSession([]byte(w.Own), s)
	if err == nil && w.Namespace == "" {
		err = errEntry
	}
	return s, w.Namespace, barrier, err
}

// limitSessions removes the oldest sessions that this server has saved, if there are too
// many of them.
func (l *streamLogs) limitSessions(ctx context.Context, key string, keep time.Duration) {
	now := time.Now()
	l.mu.Lock()
	for len(l.saved) > 0 && now.After(l.saved[0].until) {
		l.saved = l.saved[1:]
	}
	l.saved = append(l.saved, savedSession{key, now.Add(keep)})
	var oldest string
	if len(l.saved) > l.maxSessions {
		oldest = l.saved[0].key
		l.saved = l.saved[1:]
	}
	l.mu.Unlock()
	if oldest != "" && oldest != key {
		_ = l.client.Del(ctx, oldest).Err() // it ends by itself
	}
}

// encode returns a session as MessagePack.
func (w *streamSession) encode() ([]byte, error) {
	if w.Rooms == nil {
		w.Rooms = []string{}
	}
	value, err := json.Marshal(struct {
		SID   string          `json:"sid"`
		PID   string          `json:"pid"`
		Rooms []string        `json:"rooms"`
		Data  json.RawMessage `json:"data,omitempty"`
		Own   string          `json:"sioplug"`
		NSP   string          `json:"nsp,omitempty"`
	}{w.SID, w.PID, w.Rooms, w.Data, w.Own, w.Namespace})
	if err != nil {
		return nil, err
	}
	e := msgpackjson.Encoder{}
	err = e.Value(value, packet.MaxDepth)
	return e.Dst, err
}

// readStreamSession reads a session from MessagePack.
func readStreamSession(data []byte) (w streamSession, err error) {
	value, _, err := clusterwire.Read(data)
	if err != nil {
		return w, err
	}
	var read struct {
		SID   string          `json:"sid"`
		PID   string          `json:"pid"`
		Rooms json.RawMessage `json:"rooms"`
		Data  json.RawMessage `json:"data"`
		Own   string          `json:"sioplug"`
		NSP   string          `json:"nsp"`
	}
	if err := json.Unmarshal(value, &read); err != nil {
		return w, err
	}
	w = streamSession{SID: read.SID, PID: read.PID, Data: read.Data, Own: read.Own, Namespace: read.NSP}
	if w.Rooms, err = clusterwire.Strings(read.Rooms); err == nil && (w.SID == "" || w.PID == "") {
		err = errEntry
	}
	return w, err
}
