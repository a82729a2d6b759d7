package sioadmin

import (
	"context"
	"encoding/json"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// rawData is the data of a socket: the values of data keys by name.
type rawData = map[string]json.RawMessage

// Values are encoded by methods of the application, which may hang.
const dataTimeout = time.Second

// maxUpdates is how many sockets get new data at a time. Others wait for the next time.
const maxUpdates = 500

type dataUpdate struct {
	ID        string  `json:"id"`
	Namespace string  `json:"nsp"`
	Data      rawData `json:"data"`
}

// dataOf returns the data of a socket of this server, empty if nobody looks at it.
func (f *feed) dataOf(s *sio.Socket) rawData {
	if !f.admin.watched() {
		return rawData{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), dataTimeout)
	defer cancel()
	all, err := s.Self().Fetch(ctx)
	if err != nil {
		f.debug("reading the data of a socket for the Admin UI failed", err)
	}
	if len(all) == 0 {
		return rawData{}
	}
	return shownData(all[0].Data)
}

// dataSet notes that data has changed. Sockets that change often are looked at once in a
// while.
func (f *feed) dataSet(i sio.SocketDataSetInfo) {
	if i.Key == sharedDataName {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.sockets[socketKey{i.Socket.Namespace().Name(), i.Socket.ID()}]; m != nil {
		f.changed[m] = struct{}{}
	}
}

// updateData sends the data of sockets that have changed.
func (f *feed) updateData() {
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.updating = false
	}()
	for _, m := range f.takeChanged() {
		data := f.dataOf(m.socket)
		f.mu.Lock()
		if f.sockets[m.socketKey] == m {
			f.stateLocked("socket_updated", dataUpdate{m.id, m.namespace, data})
		}
		f.mu.Unlock()
	}
}

func (f *feed) takeChanged() []*member {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []*member
	for m := range f.changed {
		if len(all) == maxUpdates {
			break
		}
		all = append(all, m)
		delete(f.changed, m)
	}
	return all
}
