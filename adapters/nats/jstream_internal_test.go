package natsadapter

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/adapters/internal/sharedlog"
	"github.com/sioplug/sioplug/core/adapter"
)

// A server whose fence came before its message outside of the stream is heard again.
func TestSendersAreNotLateForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newJetStream(nil, subjects{prefix: "sio"}, JetStreamOptions{}, new(jetLogs)).js
		for i := range maxSenders + 1 {
			j.noteOutside(fmt.Sprint("dead ", i))
		}
		if !j.late("dead 0") || j.late("other") || len(j.senders) > maxSenders {
			t.Errorf("%d servers are late", len(j.senders))
		}
		time.Sleep(maxLate)
		j.noteOutside("other")
		if j.late("dead 0") || !j.late("other") || len(j.senders) != 1 {
			t.Errorf("%d servers are late", len(j.senders))
		}
		j.stop()
	})
}

func FuzzJetSession(f *testing.F) {
	positions, err := sharedlog.EncodeSession(&adapter.Session{
		Rooms: []adapter.Stay{{Room: "S", From: "1-2"}, {Room: "r", From: "1-2", To: "1-3", Pinned: true}},
		From:  "1-2", Complete: "1-2", Left: "1-5", Tried: "1-2",
	}, sharedlog.Place{Major: 1, Minor: 2})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(fmt.Appendf(nil, `{"id":"S","data":{"x":1},"positions":%s}`, positions))
	f.Add([]byte(`{"id":"S","positions":{"barrier":"1-99999999999999999999"}}`))
	f.Add([]byte(`{"id":"","positions":{"barrier":"0-0"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, _, err := readJetSession(data, "P")
		if err == nil && (s.ID == "" || s.PID != "P") {
			t.Errorf("session %+v", s)
		}
	})
}

func FuzzFence(f *testing.F) {
	f.Add(fence{"server", 18446744073709551615}.append(nil))
	f.Add([]byte(`{"from":"server","number":-1}`))
	f.Add([]byte("no fence"))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := readFence(data)
		if err != nil {
			if v != (fence{}) {
				t.Errorf("fence %+v, %v", v, err)
			}
			return
		}
		if token(v.From) != v.From || v.From == "" || bytes.ContainsAny([]byte(v.From), `"\`) {
			return // no server has such a name
		}
		if again, err := readFence(v.append(nil)); err != nil || again != v {
			t.Errorf("%+v became %+v, %v", v, again, err)
		}
	})
}
