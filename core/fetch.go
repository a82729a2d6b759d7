package sio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/rescue"
)

// A RemoteSocket describes a client of this server or another one of the cluster, at the
// time when it was fetched (SIO-CU-2). To emit to it or disconnect it, use its id as a
// room: [Namespace.To].
type RemoteSocket struct {
	ID        string
	Server    string                     // that it is connected to; "" if it is this one, or unknown
	Rooms     []string                   // as [Socket.Rooms]
	Data      map[string]json.RawMessage // the values of data keys, by name: see [NewDataKey]
	Handshake Handshake                  // without a Context
}

// Fetch returns descriptions of the clients in b, of all servers unless b is
// [Broadcast.Local] (SIO-CU-1). If some servers do not answer in time, it returns the
// descriptions from the others, and an error. The error matches that of ctx, if that has
// ended. If the adapter knows who is missing, [errors.As] finds an
// [*adapter.MissingError].
func (b Broadcast) Fetch(ctx context.Context) ([]RemoteSocket, error) {
	m := b.message(adapter.Fetch, encoded{})
	if err := b.ns.checkNames(m); err != nil && !b.local {
		return nil, err
	}
	r := newClusterRequest(ctx, nil)
	for _, n := range b.ns.selfOrChildren() {
		r.askLocal(n, m)
		if !b.local {
			r.askOthers(n, m)
		}
	}
	var all []RemoteSocket
	for reply, err := range r.eachReply() {
		if err != nil {
			r.fail(err)
			continue
		}
		for _, s := range reply.Sockets {
			remote, err := fromWire(reply.Server, s)
			if err != nil {
				r.fail(err)
				continue
			}
			all = append(all, remote)
		}
	}
	return all, r.failure("sio: fetching sockets: %w")
}

// describeSockets returns the descriptions of this server's clients in the target.
func (n *Namespace) describeSockets(t adapter.Target) []adapter.Socket {
	all := []adapter.Socket{}
	sockets := n.index.List(target(t))
	rescue.Each(len(sockets), func(i int) error {
		s := sockets[i]
		if !s.Connected() {
			return nil
		}
		data, err := s.dataJSON()
		if err != nil {
			return err
		}
		handshake, err := json.Marshal(s.Handshake().toWire())
		if err != nil {
			return err
		}
		all = append(all, adapter.Socket{ID: s.id, Rooms: s.Rooms(), Data: data, Handshake: handshake})
		return nil
	}, func(i int, err error) { sockets[i].logFailure("describing a socket failed", "", err) })
	return all
}

func fromWire(server string, s adapter.Socket) (RemoteSocket, error) {
	r := RemoteSocket{ID: s.ID, Server: server, Rooms: s.Rooms}
	var h wireHandshake
	if err := errors.Join(json.Unmarshal(s.Data, &r.Data), json.Unmarshal(s.Handshake, &h)); err != nil {
		return r, fmt.Errorf("sio: decoding the description of socket %s: %w", s.ID, err)
	}
	r.Handshake = h.handshake()
	return r, nil
}

// A wireHandshake is a handshake in the form that servers of a cluster exchange, which
// is that of the JavaScript server (SIO section 3.2).
type wireHandshake struct {
	Headers map[string]string `json:"headers"`
	Time    string            `json:"time"`
	Address string            `json:"address"`
	XDomain bool              `json:"xdomain"`
	Secure  bool              `json:"secure"`
	Issued  int64             `json:"issued"`
	URL     string            `json:"url"`
	Query   map[string]any    `json:"query"`
	Auth    json.RawMessage   `json:"auth"`
}

func (h *Handshake) toWire() wireHandshake {
	w := wireHandshake{
		Headers: make(map[string]string, len(h.Header)),
		Time:    h.Time.UTC().Format("Mon Jan 02 2006 15:04:05 GMT+0000 (Coordinated Universal Time)"),
		Address: h.Address,
		XDomain: h.Header.Get("Origin") != "",
		Secure:  h.Secure,
		Issued:  h.Time.UnixMilli(),
		URL:     h.URL,
		Query:   make(map[string]any, len(h.Query)),
		Auth:    h.Auth,
	}
	for name, vs := range h.Header {
		w.Headers[strings.ToLower(name)] = strings.Join(vs, ", ")
	}
	w.Headers["host"] = h.Host
	for name, vs := range h.Query {
		if len(vs) == 1 {
			w.Query[name] = vs[0]
		} else {
			w.Query[name] = vs
		}
	}
	if w.Auth == nil {
		w.Auth = json.RawMessage("{}")
	}
	return w
}

func (w *wireHandshake) handshake() Handshake {
	h := Handshake{
		Header:  make(http.Header, len(w.Headers)),
		Query:   make(url.Values, len(w.Query)),
		URL:     w.URL,
		Host:    w.Headers["host"],
		Address: w.Address,
		Secure:  w.Secure,
		Time:    time.UnixMilli(w.Issued),
		Auth:    w.Auth,
	}
	for name, v := range w.Headers {
		if name != "host" {
			h.Header.Set(name, v)
		}
	}
	for name, v := range w.Query {
		switch v := v.(type) {
		case string:
			h.Query.Set(name, v)
		case []any:
			for _, e := range v {
				h.Query.Add(name, fmt.Sprint(e))
			}
		}
	}
	return h
}
