package redisadapter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A publishConn is a connection for commands. It reads all the time, and so knows at once
// that the connection has failed.
type publishConn struct {
	conn    *conn
	replies chan reply    // has room for those of a whole pipeline
	failed  chan struct{} // closed when no replies come any more
	err     error         // why; set before failed is closed
	stop    chan struct{}
}

func newPublishConn(c *conn) *publishConn {
	p := &publishConn{
		conn: c, replies: make(chan reply, maxPipeline), failed: make(chan struct{}), stop: make(chan struct{}),
	}
	go p.read() // ends with the connection
	return p
}

func (p *publishConn) read() {
	defer close(p.failed)
	r := newReplyReader(p.conn)
	for {
		v, err := r.next()
		if err != nil {
			p.err = fmt.Errorf("redisadapter: the connection with Redis has failed: %w", err)
			return
		}
		if v.kind == '*' {
			v.items = slices.Clone(v.items) // of which the texts are not valid any more
		}
		select {
		case p.replies <- v:
		case <-p.stop:
			p.err = errTaken
			return
		}
	}
}

var errSilent = errors.New("redisadapter: Redis has not answered for the time of ReadTimeout")

// reply returns the next reply.
func (p *publishConn) reply(ctx context.Context, timer *time.Timer) (reply, error) {
	select {
	case v := <-p.replies:
		return v, nil
	default:
	}
	select {
	case v := <-p.replies:
		return v, nil
	case <-p.failed:
		select {
		case v := <-p.replies: // came before
			return v, nil
		default:
			return reply{}, p.err
		}
	case <-timer.C:
		return reply{}, errSilent
	case <-ctx.Done():
		return reply{}, context.Cause(ctx)
	}
}

func (p *publishConn) hasFailed() bool {
	select {
	case <-p.failed:
		return true
	default:
		return false
	}
}

// close closes the connection and waits for its goroutine.
func (p *publishConn) close() {
	close(p.stop)
	_ = p.conn.Close()
	<-p.failed
}

// isTemporary reports whether Redis has not executed a command, and may do so later.
func isTemporary(text []byte) bool {
	code, _, _ := bytes.Cut(text, []byte(" "))
	switch string(code) {
	case "LOADING", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "READONLY", "MASTERDOWN", "OOM", "MISCONF", "NOREPLICAS", "BUSY":
		return true
	default:
		return false
	}
}

// pause waits, and returns the error of ctx if that ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
