package users

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"

	sio "github.com/sioplug/sioplug/core"
)

// FuzzMessages has other servers say anything, a message a line. What is counted stays true,
// and nothing is kept beyond the limits.
func FuzzMessages(f *testing.F) {
	f.Add([]byte(`{"server":"a","kind":"here","version":0}
{"server":"a","kind":"change","version":1,"on":["ann","bob"]}
{"server":"b","kind":"list","version":3,"on":["ann"],"new":["cid"]}
{"server":"a","kind":"change","version":2,"off":["ann"]}
{"server":"b","kind":"ask","version":3,"to":"a"}
{"server":"a","kind":"bye","version":2,"late":5}`))
	f.Add([]byte(`{"server":"a","kind":"list","version":1,"on":["a","b","c","d","e"],"more":true}
{"server":"a","kind":"list","version":1,"part":1,"on":["f","f"],"off":["a"]}
{"server":"a","kind":"change","version":2,"on":["a","a"],"off":["a","a"]}`))
	f.Fuzz(func(t *testing.T, lines []byte) {
		const limit = 4
		srv := sio.New(nil)
		u := newTable(Options{MaxUsers: limit, Grace: 1})
		u.ns, u.clustered, u.log = srv.Namespace, true, slog.New(slog.DiscardHandler)
		u.change(u, "ann", "")
		for line := range bytes.Lines(lines) {
			var m message
			if json.Unmarshal(line, &m) == nil && m.valid() {
				u.receive(&m)
			}
			u.check(t, limit)
		}
		u.mu.Lock()
		for _, p := range u.all {
			u.loseLocked(p)
		}
		u.mu.Unlock()
		u.check(t, limit)
		if u.Len() != 1 || !u.Online("ann") {
			t.Errorf("%d users are online", u.Len())
		}
	})
}

func (u *Users) check(t *testing.T, limit int) {
	t.Helper()
	u.mu.Lock()
	defer u.mu.Unlock()
	online := 0
	for id, e := range u.entries {
		if e.online() {
			online++
		}
		elsewhere := 0
		for _, p := range u.all {
			if _, ok := p.users[e]; ok {
				elsewhere++
			}
		}
		if e.id != id || e.elsewhere < elsewhere {
			t.Errorf("%q is on %d servers, of which %d are known", id, e.elsewhere, elsewhere)
		}
	}
	if online != u.onlineCount || len(u.entries) > limit {
		t.Errorf("%d users are online, %d were counted, of %d", online, u.onlineCount, len(u.entries))
	}
}
