package siotest

import (
	"bytes"
	"encoding/json"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rawjson"
)

// An Event is one that a [Peer] received. Its methods are for the test's
// goroutine, as those of the Peer.
type Event struct {
	Name string

	tb       testing.TB
	inbox    *inbox
	args     packet.Args
	id       uint64
	wantsAck bool
}

// Len returns the number of arguments.
func (e *Event) Len() int { return e.args.Len() }

// Bind decodes the arguments into dst by position, as [sio.Ctx.Bind] does, and
// fails the test if one is missing or does not fit. Surplus ones are ignored.
func (e *Event) Bind(dst ...any) {
	e.tb.Helper()
	if err := e.args.Decode(nil, dst...); err != nil {
		e.tb.Fatalf("siotest: decoding %v: %v", e, err)
	}
}

// WantsAck reports whether the server asked for an acknowledgement.
func (e *Event) WantsAck() bool { return e.wantsAck }

// Ack acknowledges the event, and fails the test if the server did not ask for
// that. That it should be called once is left to the test.
func (e *Event) Ack(args ...any) {
	e.tb.Helper()
	if !e.wantsAck {
		e.tb.Fatalf("siotest: the server did not ask for an ack of %v", e)
	}
	data, attachments, err := packet.AppendAckData(nil, nil, args)
	if err == nil {
		err = e.inbox.ack(e.id, content{data, attachments})
	}
	if err != nil {
		e.tb.Fatalf("siotest: acknowledging %v: %v", e, err)
	}
}

// String returns the event as a JSON array of its name and arguments, in which
// objects with a _placeholder stand for binary data.
func (e *Event) String() string {
	list := rawjson.AppendString([]byte("["), e.Name)
	if e.args.Len() > 0 {
		list = append(list, ',')
	}
	return string(append(list, e.args.AppendData(nil)[1:]...))
}

// An Ack is the acknowledgement of an event that a [Peer] sent by [Peer.Ask]. Its
// methods wait for it, and fail the test if it does not come. They are for the
// test's goroutine.
type Ack struct {
	tb    testing.TB
	inbox *inbox
	event string
	args  packet.Args // these two are set by the inbox
	done  bool
}

// Pending reports whether the acknowledgement has yet to come. It does not wait.
// In a bubble of testing/synctest, after [testing/synctest.Wait], that means that
// the server has not sent it.
func (a *Ack) Pending() bool {
	a.inbox.mu.Lock()
	defer a.inbox.mu.Unlock()
	return !a.done
}

// Err returns the error that the server's handler failed with, which is an
// [*sio.Error], or nil if it did not. Its data is decoded as by
// [encoding/json.Unmarshal] into an any.
func (a *Ack) Err() error {
	a.tb.Helper()
	args := a.wait()
	if args.Len() != 1 {
		return nil
	}
	var failure struct {
		Error *wireError `json:"error"`
	}
	d := json.NewDecoder(bytes.NewReader(args.Raw(0)))
	d.DisallowUnknownFields() // such an answer is in the handler's own words
	if err := d.Decode(&failure); err == nil && failure.Error != nil {
		return failure.Error.toError()
	}
	return nil
}

// Len returns the number of values.
func (a *Ack) Len() int {
	a.tb.Helper()
	return a.wait().Len()
}

// Bind decodes the values into dst by position, as [sio.Args.Bind] does. It fails
// the test if one is missing or does not fit, and if the server's handler has
// failed; for that, see [Ack.Err].
func (a *Ack) Bind(dst ...any) {
	a.tb.Helper()
	if err := a.Err(); err != nil {
		a.tb.Fatalf("siotest: %q failed: %v", a.event, err)
	}
	if err := a.wait().Decode(nil, dst...); err != nil {
		a.tb.Fatalf("siotest: decoding the ack of %q, %s: %v", a.event, a.args.AppendData(nil), err)
	}
}

func (a *Ack) wait() packet.Args {
	a.tb.Helper()
	if !a.inbox.wait(func() bool { return a.done }) {
		a.tb.Fatalf("siotest: waiting for the ack of %q: %s", a.event, a.inbox.endReason())
	}
	return a.args
}

// A wireError is an error as servers send it.
type wireError struct {
	Message string `json:"message"`
	Data    any    `json:"data"`
}

func (e wireError) toError() *sio.Error { return &sio.Error{Message: e.Message, Data: e.Data} }
