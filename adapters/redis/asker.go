package redisadapter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
)

// An asker asks Redis for the number of subscribers, over connections of its own: the
// publisher's may be busy.
type asker struct {
	nodes *nodes
	turn  chan struct{} // has an element if nobody asks
	stop  chan struct{} // closed by close
	conns map[string]*publishConn
}

func newAsker(n *nodes) *asker {
	a := &asker{nodes: n, turn: make(chan struct{}, 1), stop: make(chan struct{}), conns: make(map[string]*publishConn)}
	a.turn <- struct{}{}
	return a
}

// subscribers returns how many subscribers a channel has on servers together. command is
// NUMSUB or SHARDNUMSUB.
func (a *asker) subscribers(ctx context.Context, servers []string, command, channel string) (int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	select {
	case <-a.turn:
		defer func() { a.turn <- struct{}{} }()
	case <-a.stop:
		return 0, adapter.ErrClosed
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	done := make(chan struct{})
	defer close(done)
	go func() { // ends with the call
		select {
		case <-a.stop:
			cancel(adapter.ErrClosed)
		case <-done:
		}
	}()
	var n int
	for _, addr := range servers {
		r, err := a.ask(ctx, addr, appendCommand(nil, "PUBSUB", command, channel))
		if err == nil {
			err = r.err()
		}
		if err == nil && (len(r.items) != 2 || r.items[1].kind != ':') {
			err = errProtocol
		}
		if err != nil {
			return 0, fmt.Errorf("redisadapter: counting servers: %w", err)
		}
		n += int(r.items[1].n)
	}
	return n, nil
}

// ask sends a command and waits for the reply. If the connection has failed meanwhile, it
// tries again once: to ask twice does no harm.
func (a *asker) ask(ctx context.Context, addr string, command []byte) (r reply, err error) {
	for range 2 {
		c := a.conns[addr]
		if c != nil && c.hasFailed() {
			a.drop(addr)
			c = nil
		}
		if c == nil {
			opened, err := a.nodes.dial(ctx, addr)
			if err != nil {
				return reply{}, err
			}
			c = newPublishConn(opened)
			a.conns[addr] = c
		}
		stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
		timer := time.NewTimer(a.nodes.timeout)
		_, err = c.conn.write(command)
		if err == nil {
			r, err = c.reply(ctx, timer)
		}
		timer.Stop()
		if stop() && err == nil {
			return r, nil
		}
		a.drop(addr)
		if ctx.Err() != nil {
			return reply{}, errors.Join(context.Cause(ctx), err)
		}
	}
	return reply{}, err
}

func (a *asker) drop(addr string) {
	a.conns[addr].close()
	delete(a.conns, addr)
}

// close ends the connections. It waits for calls that still run.
func (a *asker) close() {
	close(a.stop)
	<-a.turn
	for addr := range a.conns {
		a.drop(addr)
	}
	a.turn <- struct{}{}
}
