package redisadapter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
)

const (
	// maxPipeline and maxPipelineBytes bound how much can be lost at once when a
	// connection fails.
	maxPipeline      = 64
	maxPipelineBytes = 1 << 20

	// maxRedirects is how often a command is sent to the next owner of its slot.
	maxRedirects = 4

	redirectPause = 50 * time.Millisecond
)

// A command is what a packet becomes. Exactly one command is sent for each packet.
type command struct {
	packet *cluster.Packet
	key    string // by which Redis Cluster finds the server; "" if any server will do
	addr   string // of that server
	from   int    // the command's place in the buffer
	to     int
	state  commandState
}

// A commandState says how far Redis has got with a command.
type commandState uint8

const (
	unsent  commandState = iota // it was not sent, or Redis has not executed it, and may do so later
	sent                        // no reply has come: Redis may have executed it
	taken                       // Redis has executed it
	refused                     // Redis does not want it, or it cannot be sent
	moved                       // another server has to get it
)

// A publisher sends packets. Its method publish is for one goroutine at a time.
type publisher struct {
	nodes *nodes

	// encode appends the command for a packet. key is its key or channel, if that has
	// a slot.
	encode func(ctx context.Context, dst []byte, p *cluster.Packet) (out []byte, key string, err error)

	// done, if it is not nil, is called with the replies of commands that were taken,
	// in the order of the packets of a server.
	done func(p *cluster.Packet, r reply)

	conns    map[string]*publishConn
	buffer   []byte
	out      []byte
	commands []command
}

// publish implements [cluster.Broker].
func (p *publisher) publish(ctx context.Context, packets []*cluster.Packet) (all, lost int, err error) {
	for all+lost < len(packets) && err == nil {
		p.batch(ctx, packets[all+lost:])
		var a, l int
		a, l, err = p.send(ctx)
		all += a
		lost += l
	}
	return all, lost, err
}

// batch encodes the next packets.
func (p *publisher) batch(ctx context.Context, packets []*cluster.Packet) {
	if cap(p.buffer) > 2*maxPipelineBytes {
		p.buffer = nil
	}
	p.buffer, p.commands = p.buffer[:0], p.commands[:0]
	for _, packet := range packets {
		if len(p.commands) == maxPipeline || len(p.buffer) >= maxPipelineBytes {
			break
		}
		c := command{packet: packet, from: len(p.buffer)}
		buffer, key, err := p.encode(ctx, p.buffer, packet)
		if errors.Is(err, errNextBatch) && len(p.commands) > 0 {
			break
		}
		switch {
		case errors.Is(err, errNothing):
			c.state, buffer = taken, p.buffer[:c.from]
		case err != nil || len(buffer)-c.from > maxBulk:
			c.state, buffer = refused, p.buffer[:c.from]
		}
		p.buffer, c.key, c.to = buffer, key, len(buffer)
		p.commands = append(p.commands, c)
	}
}

// errNothing is the error of encode for a packet that need not be sent.
var errNothing = errors.New("nothing to send")

// errNextBatch is the error of encode for a packet that can be encoded when the replies to
// the former ones have come.
var errNextBatch = errors.New("the replies to others come first")

// send sends the batch, and again those commands that another server has to get.
func (p *publisher) send(ctx context.Context) (all, lost int, err error) {
	for i := 0; ; i++ {
		again := false
		err = p.round(ctx)
		for j := range p.commands {
			if p.commands[j].state == moved {
				p.commands[j].state, again = unsent, true
			}
		}
		if !again || i == maxRedirects {
			break
		}
		if err := pause(ctx, redirectPause*time.Duration(i)); err != nil {
			break
		}
	}
	return p.count(err)
}

// count says what has become of the commands. Only the last ones stay with the caller, so
// that their order remains.
func (p *publisher) count(err error) (all, lost int, _ error) {
	n := len(p.commands)
	for n > 0 && p.commands[n-1].state == unsent {
		n--
	}
	for i := range p.commands[:n] {
		if p.commands[i].state == taken {
			all++
		} else {
			lost++
		}
	}
	if n < len(p.commands) && err == nil {
		err = errNotTaken
	}
	clear(p.commands[:cap(p.commands)]) // they keep packets
	return all, lost, err
}

var errNotTaken = errors.New("redisadapter: Redis does not take messages for now")

// round sends all commands that are unsent, each to its server, and waits for the replies.
// If a server cannot be reached, it sends only what comes before.
func (p *publisher) round(ctx context.Context) error {
	n, err := p.route(ctx)
	var servers []string
	for i := range p.commands[:n] {
		c := &p.commands[i]
		if c.state == unsent && !slices.Contains(servers, c.addr) {
			servers = append(servers, c.addr)
		}
	}
	for _, addr := range servers {
		if e := p.write(ctx, addr, p.commands[:n]); e != nil {
			err = errors.Join(err, e)
		}
	}
	for _, addr := range servers {
		if e := p.replies(ctx, addr, p.commands[:n]); e != nil {
			p.drop(ctx, addr)
			err = errors.Join(err, e)
		}
	}
	return err
}

// route finds the servers of commands, and connects with them. It returns for how many
// of the commands that has worked.
func (p *publisher) route(ctx context.Context) (n int, err error) {
	for i := range p.commands {
		c := &p.commands[i]
		if c.state != unsent {
			continue
		}
		if c.key == "" {
			c.addr, err = p.nodes.one(ctx)
		} else {
			c.addr, err = p.nodes.owner(ctx, c.key)
		}
		if err == nil {
			_, err = p.conn(ctx, c.addr)
		}
		if err != nil {
			p.nodes.failed(ctx, c.addr)
			return i, err
		}
	}
	return len(p.commands), nil
}

// write writes the commands for a server.
func (p *publisher) write(ctx context.Context, addr string, commands []command) error {
	c := p.conns[addr]
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
	defer stop()
	p.out = p.out[:0]
	only := true
	for i := range commands {
		only = only && commands[i].addr == addr && commands[i].state == unsent
	}
	out := p.buffer[:commands[len(commands)-1].to]
	if !only {
		for i := range commands {
			if commands[i].addr == addr && commands[i].state == unsent {
				p.out = append(p.out, p.buffer[commands[i].from:commands[i].to]...)
			}
		}
		out = p.out
	}
	written, err := c.conn.write(out)
	at := 0
	for i := range commands {
		k := &commands[i]
		if k.addr != addr || k.state != unsent {
			continue
		}
		if at < written {
			k.state = sent
		}
		at += k.to - k.from
	}
	if err != nil {
		_ = c.conn.Close() // so that the replies end
		return fmt.Errorf("redisadapter: writing to Redis: %w", err)
	}
	return nil
}

// replies waits for the replies to commands that were sent to a server.
func (p *publisher) replies(ctx context.Context, addr string, commands []command) error {
	c := p.conns[addr]
	timer := time.NewTimer(p.nodes.timeout)
	defer timer.Stop()
	for i := range commands {
		k := &commands[i]
		if k.addr != addr || k.state != sent {
			continue
		}
		r, err := c.reply(ctx, timer)
		if err != nil {
			return err
		}
		p.replied(ctx, k, r)
	}
	return nil
}

func (p *publisher) replied(ctx context.Context, k *command, r reply) {
	err := r.err()
	if err == nil {
		k.state = taken
		if p.done != nil {
			p.done(k.packet, r)
		}
		return
	}
	k.state = refused
	if _, ok := p.nodes.moved(ctx, k.addr, k.key, err); ok {
		k.state = moved
	} else if isTemporary(r.text) {
		k.state = unsent
	}
}

// conn returns the connection with a server.
func (p *publisher) conn(ctx context.Context, addr string) (*publishConn, error) {
	if c := p.conns[addr]; c != nil && !c.hasFailed() {
		return c, nil
	}
	for other, c := range p.conns {
		if c.hasFailed() { // it may be that of a master that does not come back
			p.drop(ctx, other)
		}
	}
	c, err := p.nodes.dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	if p.conns == nil {
		p.conns = make(map[string]*publishConn)
	}
	p.conns[addr] = newPublishConn(c)
	return p.conns[addr], nil
}

// drop closes a connection that has failed.
func (p *publisher) drop(ctx context.Context, addr string) {
	if c := p.conns[addr]; c != nil {
		c.close()
		delete(p.conns, addr)
		p.nodes.failed(ctx, addr)
	}
}

// close closes all connections.
func (p *publisher) close() {
	for _, c := range p.conns {
		if c.conn.SetWriteDeadline(time.Now().Add(quitTimeout)) == nil {
			_, _ = c.conn.Write(appendCommand(nil, "QUIT"))
		}
		c.close()
	}
	p.conns = nil
}
