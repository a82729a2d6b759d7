package sharedlog

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
)

// What will not be in the stream reaches own clients at once, behind earlier messages.
func TestMessagesOutsideOfTheStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLogTest()
		l.say(t, "a")
		m := &adapter.Message{Kind: adapter.Broadcast}
		if err := l.Append(m, func(offset string) { l.note("outside at " + offset) }); err != nil {
			t.Fatal(err)
		}
		l.sayHere(t, "here")
		l.must(t)
		l.Unstored(m)
		l.must(t, "a at ", "outside at ", "here at ")
		l.read(5, "a")
		if barrier, ok := l.SaveBarrier(); !ok || barrier != (Place{Major: 5}) {
			t.Errorf("barrier %s, %t", barrier, ok)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A client may come from a server that has read more: the reader is waited for, but not for ever.
func TestReadersThatAreBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := new(Order)
		o.Begin(Place{Major: 1})
		time.AfterFunc(time.Second, func() { o.Skip(Place{Major: 3}) })
		began := time.Now()
		if !o.Await(t.Context(), Place{Major: 2}) || time.Since(began) < time.Second {
			t.Error("the reader was not waited for")
		}
		if o.Await(t.Context(), Place{Major: 4}) {
			t.Error("it is not there")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if o.Await(ctx, Place{Major: 4}) {
			t.Error("it is not there")
		}
	})
}
