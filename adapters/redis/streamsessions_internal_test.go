package redisadapter

import (
	"fmt"
	"testing"

	"github.com/sioplug/sioplug/core/adapter"
)

func FuzzStreamSession(f *testing.F) {
	w := streamSession{SID: "S", PID: "P", Rooms: []string{"S", "r1"}, Data: []byte(`{"x":1}`), Own: `{"barrier":"0-0"}`, Namespace: "/chat"}
	data, err := w.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		w, err := readStreamSession(data)
		if err != nil {
			return
		}
		again, err := w.encode()
		if err != nil {
			return // what JSON cannot hold
		}
		if v, err := readStreamSession(again); err != nil || fmt.Sprint(v) != fmt.Sprint(w) {
			t.Errorf("%+v became %+v, %v", w, v, err)
		}
	})
}

// The session of an official server (ECO-ST-9).
func TestSessionsOfOfficialServers(t *testing.T) {
	t.Parallel()
	s, namespace, barrier, err := readSession("hKNzaWShU6NwaWShUKVyb29tc5KhU6JyMaRkYXRhgaF4AQ==", "7-0")
	if err != nil || barrier != (entryID{}) || namespace != "" {
		t.Fatal(err, barrier, namespace)
	}
	if s.ID != "S" || s.PID != "P" || string(s.Data) != `{"x":1}` || s.From != "7-0" || s.Left != "7-0" || s.Complete != "7-0" ||
		fmt.Sprint(s.Rooms) != fmt.Sprint([]adapter.Stay{{Room: "S", From: "7-0"}, {Room: "r1", From: "7-0"}}) {
		t.Errorf("%+v", s)
	}
}
