package sioadmin

import (
	"context"
	"log/slog"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// syncTimeout is how long other servers may take to describe their sockets.
const syncTimeout = 5 * time.Second

// syncAgain is when a new administrator of a cluster gets a second list. Other servers may
// have told of changes while the first one was made.
const syncAgain = 3 * time.Second

// A snapshot is a list of all sockets, for some administrators.
type snapshot struct {
	receivers []*sio.Socket         // nil: all administrators of the cluster
	data      map[socketKey]rawData // of this server's sockets
	remote    []socketInfo
}

// requestSync has a new administrator get all sockets.
func (f *feed) requestSync(s *sio.Socket) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.syncLocked([]*sio.Socket{s})
	if f.admin.clustered {
		timer := time.AfterFunc(syncAgain, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.syncLocked([]*sio.Socket{s})
		})
		s.OnEnd(func() { timer.Stop() })
	}
}

// syncLocked fetches all sockets, for the receivers or for everybody. One goroutine fetches
// at a time, so administrators who come meanwhile wait for the next time.
func (f *feed) syncLocked(receivers []*sio.Socket) {
	if receivers == nil {
		f.syncFor = append(f.syncFor, nil)
	}
	f.syncFor = append(f.syncFor, receivers...)
	if !f.syncing {
		f.syncing = true
		go f.fetch(f.takeReceiversLocked()) // ends with its requests, or when Shutdown begins
	}
}

// takeReceiversLocked returns those who wait for a list, nil for everybody.
func (f *feed) takeReceiversLocked() []*sio.Socket {
	all := f.syncFor
	f.syncFor = nil
	for _, s := range all {
		if s == nil {
			return nil
		}
	}
	return all
}

// fetch fetches the sockets of all namespaces, and hands them to [Admin.run].
func (f *feed) fetch(receivers []*sio.Socket) {
	ctx, cancel := context.WithTimeout(context.Background(), syncTimeout)
	defer cancel()
	s := snapshot{receivers: receivers, data: make(map[socketKey]rawData)}
	var failed error
	for _, n := range f.admin.srv.Namespaces() {
		all, err := n.Broadcast().Fetch(ctx)
		if err != nil && failed == nil {
			failed = err
		}
		for i := range all {
			f.add(&s, n.Name(), &all[i])
		}
	}
	if failed != nil {
		f.admin.log.Warn("the Admin UI does not show all sockets: not all servers answered", slog.Any("err", failed))
	}
	select {
	case f.synced <- s:
	case <-f.admin.stop:
	}
}

// add adds a description. Those of this server's sockets are kept only for their data.
func (f *feed) add(s *snapshot, namespace string, r *sio.RemoteSocket) {
	if r.Server == "" && f.isLocal(socketKey{namespace, r.ID}) {
		s.data[socketKey{namespace, r.ID}] = shownData(r.Data)
		return
	}
	if len(s.remote) < f.admin.opts.MaxSockets {
		s.remote = append(s.remote, f.filter.describeRemote(namespace, r))
	}
}

// deliver sends a list of sockets, behind everything that was queued before it was made.
func (f *feed) deliver(s snapshot) {
	f.mu.Lock()
	before := f.takeLocked()
	list := f.listLocked(&s)
	f.syncing = false
	clear(f.gone)
	if len(f.syncFor) > 0 {
		f.syncLocked([]*sio.Socket{})
	}
	f.mu.Unlock()
	f.send(before)
	if s.receivers == nil {
		f.admin.broadcast("all_sockets", 1, list)
	}
	for _, r := range s.receivers {
		_ = r.Emit("all_sockets", list) // an error means that the administrator has gone
	}
}

// listLocked returns the list for the UI.
func (f *feed) listLocked(s *snapshot) []socketInfo {
	limit := f.admin.opts.MaxSockets
	list := make([]socketInfo, 0, min(limit, len(f.sockets)+len(s.remote)))
	for key, m := range f.sockets {
		if len(list) == limit {
			return list
		}
		data, known := s.data[key]
		if !known { // it has connected meanwhile
			data = rawData{}
			f.changed[m] = struct{}{}
		}
		list = append(list, m.describe(data))
	}
	for _, r := range s.remote {
		key := socketKey{r.Namespace, r.ID}
		if _, gone := f.gone[key]; len(list) < limit && !gone && f.sockets[key] == nil {
			list = append(list, r)
		}
	}
	return list
}

func (f *feed) isLocal(key socketKey) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sockets[key] != nil
}
