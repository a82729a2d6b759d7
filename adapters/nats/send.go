package natsadapter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sioplug/sioplug/adapters/cluster"
)

// A sender publishes packets. It is for one goroutine at a time.
type sender struct {
	subjects

	nc      *nats.Conn
	joined  cluster.RecentJoins
	scratch []byte
}

// maxFlush is how long the server of NATS may take to say that it has all. It is longer than
// nats.go takes to find out that the connection has failed, whatever its options are.
const maxFlush = time.Hour

var (
	errNotConnected = errors.New("natsadapter: the connection with NATS is lost")
	errReconnected  = errors.New("natsadapter: the connection with NATS was lost for a moment")
)

// send publishes packets, and waits until the server of NATS has read all of them: it answers
// a ping that comes behind. If the connection was lost meanwhile, some may have been lost with
// it. Others may be in the buffer of nats.go and be sent when it is connected again, before
// all others are. So all count as lost.
func (s *sender) send(ctx context.Context, packets []*cluster.Packet) (taken, lost int, err error) {
	if s.nc.Status() != nats.CONNECTED {
		return 0, 0, errNotConnected
	}
	at := s.position()
	var failed error
	n := 0
	for ; n < len(packets) && failed == nil; n++ {
		failed = s.publish(packets[n])
	}
	if failed != nil {
		n--
	}
	if n > 0 {
		if err := s.confirm(ctx, at); err != nil {
			return 0, n, err
		}
	}
	if failed != nil && !notSent(failed) {
		lost = 1
	}
	return n, lost, failed
}

// A position is a moment of a connection.
type position struct {
	connects uint64 // how often nats.go had connected again
	err      error  // the last one
}

func (s *sender) position() position { return position{s.nc.Stats().Reconnects, s.nc.LastError()} }

// confirm waits until the server of NATS has read everything. It returns an error if it may not
// have taken all since then. It may be called by several goroutines.
func (s *sender) confirm(ctx context.Context, since position) error {
	if err := flush(ctx, s.nc); err != nil {
		return err
	}
	if s.nc.Stats().Reconnects != since.connects {
		return errReconnected
	}
	return s.violation(s.nc, since.err)
}

// publish gives a packet to nats.go, which keeps it in its buffer.
func (s *sender) publish(p *cluster.Packet) error {
	if err := s.encode(p); err != nil {
		return err
	}
	return s.give(s.of(p, &s.joined), "")
}

// encode encodes a packet into scratch.
func (s *sender) encode(p *cluster.Packet) (err error) {
	if p.HasBinary() {
		s.scratch, err = cluster.AppendMessagePack(s.scratch[:0], p)
	} else {
		s.scratch, err = cluster.AppendJSON(s.scratch[:0], p)
	}
	return err
}

// give gives nats.go what is in scratch. Answers go to reply, unless that is empty.
func (s *sender) give(subject, reply string) error {
	var err error
	if reply == "" {
		err = s.nc.Publish(subject, s.scratch)
	} else {
		err = s.nc.PublishRequest(subject, reply, s.scratch)
	}
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		err = fmt.Errorf("%w: it has %d bytes, and max_payload of NATS is %d", cluster.ErrTooLarge, len(s.scratch), s.nc.MaxPayload())
	case err != nil:
		err = fmt.Errorf("natsadapter: publishing: %w", err)
	}
	if cap(s.scratch) > maxScratch {
		s.scratch = nil
	}
	return err
}

// maxScratch is how large a buffer may be that is kept.
const maxScratch = 1 << 20

// notSent reports whether nats.go has not taken a packet, because of the connection. All other
// errors are of the packet.
func notSent(err error) bool {
	return errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrConnectionDraining) ||
		errors.Is(err, nats.ErrReconnectBufExceeded)
}

// flush waits until the server of NATS has read everything.
func flush(ctx context.Context, nc *nats.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, maxFlush)
	defer cancel()
	if err := nc.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("%w: %w", errNotConnected, err)
	}
	return nil
}

// violation returns the last error of the connection, if it is a new one and says that a
// subject of the adapter is not allowed. The server of NATS sends it before the answer to a
// ping. nats.go shows it also to the handler of errors, if the application has set one.
func (s subjects) violation(nc *nats.Conn, before error) error {
	err := nc.LastError()
	if err == nil || err == before || !errors.Is(err, nats.ErrPermissionViolation) || //nolint:errorlint // the very same
		!strings.Contains(err.Error(), `"`+s.prefix+".") {
		return nil
	}
	return fmt.Errorf("natsadapter: NATS refuses a subject: %w", err)
}
