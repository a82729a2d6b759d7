package natsadapter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// A streamConfig are the settings of a stream that matter here, as JetStream has them.
type streamConfig struct {
	Name        string     `json:"name"`
	Subjects    []string   `json:"subjects"`
	Retention   string     `json:"retention"`
	Discard     string     `json:"discard"`
	Storage     string     `json:"storage"`
	Replicas    int        `json:"num_replicas"`
	MaxAge      int64      `json:"max_age"` // in nanoseconds
	MaxBytes    int64      `json:"max_bytes"`
	MaxMsgs     int64      `json:"max_msgs"`
	MaxMsgsPer  int64      `json:"max_msgs_per_subject"`
	AllowDirect bool       `json:"allow_direct"`
	RePublish   *republish `json:"republish,omitempty"`
}

type republish struct {
	Source      string `json:"src"`
	Destination string `json:"dest"`
	HeadersOnly bool   `json:"headers_only,omitempty"`
}

// A streamInfo is what JetStream says about a stream.
type streamInfo struct {
	Config  streamConfig `json:"config"`
	Created time.Time    `json:"created"`
	State   struct {
		First     uint64    `json:"first_seq"`
		Last      uint64    `json:"last_seq"`
		FirstTime time.Time `json:"first_ts"`
		LastTime  time.Time `json:"last_ts"`
	} `json:"state"`
}

const (
	retentionLimits = "limits"
	discardOld      = "old"

	// defaultAge is how long messages are kept by a cluster without recovery, for servers
	// that are disconnected.
	defaultAge = 4 * time.Minute

	// apiTimeout is how long JetStream may take to answer, and askAgain is after how long it is
	// asked a second time: nobody answers while a leader is being elected.
	apiTimeout = 5 * time.Second
	askAgain   = time.Second
)

func (j *jetStream) keep() time.Duration { return time.Duration(j.logs.keep.Load()) }

// messagesConfig are the settings of the stream of messages.
func (j *jetStream) messagesConfig() streamConfig {
	c := j.config(j.opts.StreamName, j.prefix+toStored+">")
	c.MaxAge = int64(cmp.Or(j.opts.MaxAge, 2*j.keep(), defaultAge)) //nolint:mnd // it takes time to notice that a connection is lost
	c.MaxBytes, c.MaxMsgs, c.MaxMsgsPer = j.opts.MaxBytes, -1, -1
	c.RePublish = &republish{Source: j.prefix + toStored + ">", Destination: j.prefix + toAgain + ">"}
	return c
}

// sessionsConfig are the settings of the stream of sessions. Each has a subject.
func (j *jetStream) sessionsConfig() streamConfig {
	c := j.config(j.opts.sessionsName(), j.prefix+toSession+"*")
	c.MaxAge = int64(cmp.Or(j.keep(), defaultAge))
	c.MaxBytes, c.MaxMsgs, c.MaxMsgsPer = j.opts.MaxBytes, int64(j.opts.MaxSessions), 1
	return c
}

func (j *jetStream) config(name, subject string) streamConfig {
	c := streamConfig{
		Name: name, Subjects: []string{subject}, Retention: retentionLimits, Discard: discardOld,
		Storage: "file", Replicas: j.opts.Replicas, AllowDirect: true,
	}
	if j.opts.MemoryStorage {
		c.Storage = "memory"
	}
	return c
}

var errConfig = errors.New("the stream has other settings than sioplug needs")

// fits reports why a stream cannot be used as another one. Limits may be others.
func (c *streamConfig) fits(want *streamConfig) error {
	var wrong string
	switch {
	case !slices.Equal(c.Subjects, want.Subjects):
		wrong = "subjects"
	case c.Retention != want.Retention:
		wrong = "retention"
	case c.Discard != want.Discard:
		wrong = "discard"
	case !c.AllowDirect:
		wrong = "allow_direct"
	case want.RePublish != nil && (c.RePublish == nil || *c.RePublish != *want.RePublish):
		wrong = "republish"
	case want.MaxMsgsPer == 1 && c.MaxMsgsPer != 1:
		wrong = "max_msgs_per_subject"
	default:
		return nil
	}
	return fmt.Errorf("%w: stream %s, %s", errConfig, want.Name, wrong)
}

// open returns what JetStream says about a stream. If there is none, it is created.
func (j *jetStream) open(ctx context.Context, want *streamConfig) (info streamInfo, err error) {
	ctx, cancel := context.WithTimeout(ctx, max(apiTimeout, j.opts.AckTimeout))
	defer cancel()
	err = j.ask(ctx, "STREAM.INFO."+want.Name, struct{}{}, &info)
	if isNotFound(err) {
		err = j.ask(ctx, "STREAM.CREATE."+want.Name, want, &info)
	}
	if err != nil {
		return info, fmt.Errorf("stream %s: %w", want.Name, err)
	}
	return info, info.Config.fits(want)
}

// ask calls the API of JetStream. If nobody answers, it asks again, after longer and longer times.
func (j *jetStream) ask(ctx context.Context, what string, request, response any) error {
	for wait := askAgain; ; wait *= 2 {
		limited, cancel := context.WithTimeout(ctx, wait)
		err := j.api(limited, what, request, response)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return err
		}
	}
}

// A stored is a message in a stream.
type stored struct {
	subject string
	seq     uint64
	data    []byte
	gone    bool // it is not in the stream any more
}

// A getRequest asks for a message of a stream.
type getRequest struct {
	Seq  uint64 `json:"seq,omitempty"`
	Last string `json:"last_by_subj,omitempty"`
	Next string `json:"next_by_subj,omitempty"`
}

// get returns a message of a stream: from any server of NATS that has the stream. If that one
// does not have the message, the leader of the stream is asked.
func (j *jetStream) get(ctx context.Context, stream string, r getRequest) (s stored, err error) {
	data, err := json.Marshal(r)
	if err != nil {
		return s, err
	}
	m, err := j.requests.do(ctx, j.self, &nats.Msg{Subject: j.opts.apiPrefix() + "DIRECT.GET." + stream, Data: data}, j.subjects)
	if err != nil {
		return s, err
	}
	if lastHeader(m, statusHeader) == "" {
		s.subject, s.data = lastHeader(m, subjectHeader), m.Data
		s.seq, err = strconv.ParseUint(lastHeader(m, sequenceHeader), 10, 64)
		return s, cmp.Or(err, r.check(s))
	}
	var v struct {
		Message struct {
			Subject string `json:"subject"`
			Seq     uint64 `json:"seq"`
			Data    []byte `json:"data"`
		} `json:"message"`
	}
	err = j.api(ctx, "STREAM.MSG.GET."+stream, r, &v)
	if isNotFound(err) {
		return stored{seq: r.Seq, gone: true}, nil
	}
	s = stored{subject: v.Message.Subject, seq: v.Message.Seq, data: v.Message.Data}
	return s, cmp.Or(err, r.check(s))
}

// check returns an error if a message is not the one that was asked for.
func (r *getRequest) check(s stored) error {
	if s.seq < r.Seq || r.Next == "" && r.Seq != 0 && s.seq != r.Seq {
		return errAck
	}
	return nil
}

// The headers that JetStream adds to a message.
const (
	sequenceHeader = "Nats-Sequence"
	subjectHeader  = "Nats-Subject"
)

// page returns the messages from a number on, up to n of them, also those that are gone. It
// asks for all at once.
func (j *jetStream) page(ctx context.Context, from uint64, n int) ([]stored, error) {
	list, errs := make([]stored, n), make([]error, n)
	done := make(chan struct{}, n)
	for i := range n {
		go func() { // ends with ctx
			list[i], errs[i] = j.get(ctx, j.opts.StreamName, getRequest{Seq: from + uint64(i)}) //nolint:gosec // not negative
			done <- struct{}{}
		}()
	}
	for range n {
		<-done
	}
	return list, errors.Join(errs...)
}
