package natsadapter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// ackTo begins the last token of the subject of an answer of JetStream.
const ackTo = "k"

// A requests has the requests to JetStream that wait for an answer. Answers come to the inbox
// of the server. Nobody waits for nats.go, which may wait for the network: a goroutine sends
// them.
type requests struct {
	out chan *nats.Msg

	mu      sync.Mutex
	next    uint64
	waiting map[string]chan<- *nats.Msg // by the last token of the subject
}

// maxRequests is how many requests wait until they are sent.
const maxRequests = 256

func (r *requests) init() {
	r.out, r.waiting = make(chan *nats.Msg, maxRequests), make(map[string]chan<- *nats.Msg)
}

// begin returns the token for the answer to a new request. The answer goes to the channel, which
// has room for it.
func (r *requests) begin(to chan<- *nats.Msg) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	n := ackTo + strconv.FormatUint(r.next, 36)
	r.waiting[n] = to
	return n
}

// end forgets a request.
func (r *requests) end(n string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, n)
}

// take takes a message that came to the inbox, if it is the answer to a request.
func (r *requests) take(m *nats.Msg) bool {
	last := m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
	if !strings.HasPrefix(last, ackTo) || len(last) < 2 || !strings.Contains(m.Subject, toInbox) {
		return false
	}
	r.mu.Lock()
	to := r.waiting[last]
	delete(r.waiting, last)
	r.mu.Unlock()
	if to != nil {
		to <- m
	}
	return true
}

// do sends a request and waits for the answer.
func (r *requests) do(ctx context.Context, self string, m *nats.Msg, s subjects) (*nats.Msg, error) {
	answers := make(chan *nats.Msg, 1)
	n := r.begin(answers)
	defer r.end(n)
	m.Reply = s.inbox(self, n)
	select {
	case r.out <- m:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case answer := <-answers:
		return answer, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// sendRequests sends requests.
func (j *jetStream) sendRequests() {
	for {
		select {
		case m := <-j.requests.out:
			_ = j.nc.PublishMsg(m) // who waits for the answer waits in vain
		case <-j.ctx.Done():
			return
		}
	}
}

var (
	errNoAnswer = errors.New("nobody answers: JetStream is not enabled, or the stream has no leader or does not exist")
	errAck      = errors.New("the answer is none of JetStream")
)

// An apiError is an error of JetStream.
type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string { return fmt.Sprintf("%s (%d)", e.Description, e.ErrCode) }

// isNotFound reports whether JetStream says that there is no such stream or message.
func isNotFound(err error) bool {
	const notFound = 404
	var api *apiError
	return errors.As(err, &api) && api.Code == notFound
}

// An ackMessage is the answer of JetStream to a message for a stream.
type ackMessage struct {
	Error  *apiError `json:"error"`
	Stream string    `json:"stream"`
	Seq    uint64    `json:"seq"`
}

// ackError returns nil if an answer says that the stream has the message.
func (o *JetStreamOptions) ackError(m *nats.Msg) error { return ackErrorOf(m, o.StreamName) }

func ackErrorOf(m *nats.Msg, stream string) error {
	if lastHeader(m, statusHeader) == noResponders {
		return errNoAnswer
	}
	var ack ackMessage
	switch err := json.Unmarshal(m.Data, &ack); {
	case err != nil:
		return errAck
	case ack.Error != nil:
		return ack.Error
	case ack.Stream != stream || ack.Seq == 0:
		return fmt.Errorf("%w: it is of the stream %.50q", errAck, ack.Stream)
	default:
		return nil
	}
}

// lastHeader returns the last value of a header. JetStream adds its own behind those of the
// publisher, who could have set the same ones.
func lastHeader(m *nats.Msg, name string) string {
	values := m.Header[name]
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// api calls the API of JetStream.
func (j *jetStream) api(ctx context.Context, what string, request, response any) error {
	data, err := json.Marshal(request)
	if err != nil {
		return err
	}
	m, err := j.requests.do(ctx, j.self, &nats.Msg{Subject: j.opts.apiPrefix() + what, Data: data}, j.subjects)
	if err != nil {
		return err
	}
	if lastHeader(m, statusHeader) == noResponders {
		return errNoAnswer
	}
	var failed struct {
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &failed); err != nil {
		return errAck
	}
	if failed.Error != nil {
		return failed.Error
	}
	if err := json.Unmarshal(m.Data, response); err != nil {
		return errAck
	}
	return nil
}
