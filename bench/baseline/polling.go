package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// maxBody is the most that a POST may have: the default of Socket.IO servers.
const maxBody = 1_000_000

// pollers are the clients on long-polling, by id. They are never forgotten: the program ends
// with the measurement.
type pollers struct {
	mu   sync.Mutex
	byID map[string]*poller
}

// A poller has the packets that wait for the next poll of a client.
type poller struct {
	mu      sync.Mutex
	packets []byte
	more    chan struct{} // receives when there are packets
}

func newPollers() *pollers { return &pollers{byID: map[string]*poller{}} }

// ServeHTTP opens a session, or serves a poll or a POST of one.
func (ps *pollers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	p, body := ps.client(query.Get("sid")), []byte("ok")
	switch {
	case p == nil:
		http.Error(w, "unknown session", http.StatusBadRequest)
		return
	case r.Method == http.MethodGet:
		body = p.await(r.Context())
	default:
		payload, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
		if err != nil {
			return // the client has gone
		}
		for packet := range bytes.SplitSeq(payload, []byte{separator}) {
			p.receive(packet)
		}
	}
	h := w.Header()
	h["Content-Type"] = []string{"text/plain; charset=UTF-8"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	_, _ = w.Write(body) // if it fails, the client has gone
}

// client returns the client with that id, and makes one if it has none yet.
func (ps *pollers) client(id string) *poller {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if id != "" {
		return ps.byID[id]
	}
	p := &poller{more: make(chan struct{}, 1)}
	id = fmt.Sprintf("%020d", len(ps.byID))
	ps.byID[id] = p
	p.send([]byte(strings.Replace(openPacket, noID, id, 1)))
	return p
}

// separator is what stands between packets.
const separator = '\x1e'

func (p *poller) send(packet []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.packets) > 0 {
		p.packets = append(p.packets, separator)
	}
	p.packets = append(p.packets, packet...)
	select {
	case p.more <- struct{}{}:
	default:
	}
}

// receive answers a packet. Over polling, only echo is measured.
func (p *poller) receive(packet []byte) {
	switch {
	case bytes.Equal(packet, []byte("40")):
		p.send([]byte(connected))
	case bytes.HasPrefix(packet, []byte(`42["echo",`)):
		p.send(packet)
	}
}

// await returns the packets that wait, as soon as there are some.
func (p *poller) await(ctx context.Context) []byte {
	select {
	case <-p.more:
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	packets := p.packets
	p.packets = nil
	return packets
}
