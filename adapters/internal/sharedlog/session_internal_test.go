package sharedlog

import (
	"fmt"
	"testing"

	"github.com/sioplug/sioplug/core/adapter"
)

func FuzzSession(f *testing.F) {
	data, err := EncodeSession(&adapter.Session{
		Rooms: []adapter.Stay{{Room: "S", From: "1-2"}, {Room: "r", From: "1-2", To: "1-3", Pinned: true}},
		From:  "1-2", Complete: "1-2", Left: "1-5", Tried: "1-2",
	}, Place{Major: 1, Minor: 18446744073709551615})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"barrier":"1-18446744073709551616"}`))
	f.Add([]byte(`{"rooms":null,"barrier":"0-0"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s adapter.Session
		barrier, err := DecodeSession(data, &s)
		if err != nil {
			return
		}
		again, err := EncodeSession(&s, barrier)
		if err != nil {
			t.Fatal(err)
		}
		var v adapter.Session
		if same, err := DecodeSession(again, &v); err != nil || same != barrier || fmt.Sprint(v) != fmt.Sprint(s) {
			t.Errorf("%+v became %+v, %v", s, v, err)
		}
	})
}

func FuzzPlace(f *testing.F) {
	for _, s := range []string{"0-0", "1-18446744073709551615", "01-1", "1", "-1-1", "1-1-1", "+1-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, ok := ParsePlace(s)
		if ok && at.String() != s {
			t.Errorf("%q is %v", s, at)
		}
	})
}
