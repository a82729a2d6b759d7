package sioadmin

import (
	"log/slog"
	"slices"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/rescue"
)

// An Operation is what an administrator has done, or tried to do: see
// [Options.OnOperation].
type Operation struct {
	Admin     *sio.Socket // who did it
	Kind      string      // "emit", "join", "leave" or "disconnect"
	Namespace string
	Rooms     []string // the sockets in these rooms; nil: all of the namespace. An id is a room, too.
	Detail    string   // the event, the room that they joined or left, or "close" if their connections were closed
	Err       error    // why it failed, or nil
}

// errArguments is for what the UI never sends.
func errArguments() error { return &sio.Error{Message: "invalid arguments"} }

// emit handles emit(nsp, filter, event, ...args).
func (a *Admin) emit(c *sio.Ctx) error {
	values, err := c.Args().Values()
	if err != nil || len(values) < 3 { //nolint:mnd // see above
		return errArguments()
	}
	event, ok := values[2].(string)
	if !ok || event == "" {
		return errArguments()
	}
	return a.operate(c, "emit", values[0], values[1], event, func(b sio.Broadcast) error { return b.Emit(event, values[3:]...) })
}

// join handles join(nsp, room, filter).
func (a *Admin) join(c *sio.Ctx) error {
	return a.changeRoom(c, "join", func(b sio.Broadcast, room string) error { return b.Join(room) })
}

// leave handles leave(nsp, room, filter).
func (a *Admin) leave(c *sio.Ctx) error {
	return a.changeRoom(c, "leave", func(b sio.Broadcast, room string) error { return b.Leave(room) })
}

func (a *Admin) changeRoom(c *sio.Ctx, kind string, change func(b sio.Broadcast, room string) error) error {
	namespace, filter, second, err := arguments(c)
	if err != nil {
		return err
	}
	room, ok := second.(string)
	if !ok || room == "" {
		return errArguments()
	}
	return a.operate(c, kind, namespace, filter, room, func(b sio.Broadcast) error { return change(b, room) })
}

// disconnect handles _disconnect(nsp, close, filter).
func (a *Admin) disconnect(c *sio.Ctx) error {
	namespace, filter, second, err := arguments(c)
	if err != nil {
		return err
	}
	if closes, _ := second.(bool); closes {
		return a.operate(c, "disconnect", namespace, filter, "close", sio.Broadcast.Close)
	}
	return a.operate(c, "disconnect", namespace, filter, "", sio.Broadcast.Disconnect)
}

// arguments returns those of an event (nsp, second, filter).
func arguments(c *sio.Ctx) (namespace, filter, second any, err error) {
	values, err := c.Args().Values()
	if err != nil || len(values) < 2 { //nolint:mnd // see above
		return nil, nil, nil, errArguments()
	}
	if len(values) > 2 { //nolint:mnd // see above
		filter = values[2]
	}
	return values[0], filter, values[1], nil
}

// operate does something to the sockets that the arguments name.
func (a *Admin) operate(c *sio.Ctx, kind string, namespace, filter any, detail string, do func(sio.Broadcast) error) error {
	name, ok := namespace.(string)
	rooms, roomsOK := roomsOf(filter)
	if !ok || !roomsOK {
		return errArguments()
	}
	op := Operation{Admin: c.Socket, Kind: kind, Namespace: name, Rooms: rooms, Detail: detail}
	if n := a.namespace(name); n != nil {
		op.Err = do(n.To(rooms...))
	} else {
		op.Err = &sio.Error{Message: "this server has no such namespace"}
	}
	a.report(op)
	return op.Err
}

// roomsOf returns the rooms that a filter names: nothing, a room, or a list of rooms. ok is
// false for anything else, so that a mistake does not mean all sockets.
func roomsOf(filter any) (rooms []string, ok bool) {
	switch filter := filter.(type) {
	case nil:
		return nil, true
	case string:
		if filter == "" {
			return nil, true
		}
		return []string{filter}, true
	case []any:
		for _, f := range filter {
			room, ok := f.(string)
			if !ok || room == "" {
				return nil, false
			}
			rooms = append(rooms, room)
		}
		return rooms, len(rooms) > 0
	}
	return nil, false
}

func (a *Admin) report(op Operation) {
	if a.opts.OnOperation == nil {
		return
	}
	op.Rooms = slices.Clone(op.Rooms)
	err := rescue.Call(func() error {
		a.opts.OnOperation(op)
		return nil
	})
	if err != nil {
		a.log.Error("OnOperation of the Admin UI failed", slog.Any("err", err))
	}
}
