package sioadmin

import (
	"fmt"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// Larger arguments are not shown, and larger names are shortened.
const (
	maxArgs = 16 << 10
	maxName = 200
)

// A budget limits events per second.
type budget struct {
	perSecond int

	second    int64
	used      int
	leftOut   int
	namespace string // of the last one that was left out
}

// take reports whether an event may be shown.
func (b *budget) take(namespace string) bool {
	if second := time.Now().Unix(); second != b.second {
		b.second, b.used = second, 0
	}
	if b.used >= b.perSecond {
		b.leftOut++
		b.namespace = namespace
		return false
	}
	b.used++
	return true
}

// takeLeftOut returns how many events were left out since the last call.
func (b *budget) takeLeftOut() (n int, namespace string) {
	n, b.leftOut = b.leftOut, 0
	return n, b.namespace
}

func leftOutText(n int) string { return fmt.Sprintf("(%d more events are not shown)", n) }

// received is called for each event of a client.
func (f *feed) received(c *sio.Ctx) { f.show("event_received", c.Socket, c.Event(), c.Args()) }

// sent is called for each event to a client.
func (f *feed) sent(s *sio.Socket, event string, args sio.Args) { f.show("event_sent", s, event, args) }

// show queues an event, if nothing speaks against it.
func (f *feed) show(kind string, s *sio.Socket, event string, args sio.Args) {
	if !f.admin.watched() {
		return
	}
	namespace := s.Namespace().Name()
	f.mu.Lock()
	ok := f.budget.take(namespace)
	f.mu.Unlock()
	if !ok {
		return
	}
	shown := append([]any{shorten(event)}, readable(args)...)
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue)-f.states >= maxEvents {
		f.budget.leftOut++
		f.budget.namespace = namespace
		return
	}
	f.queueLocked(message{event: kind, args: []any{namespace, s.ID(), shown, now()}})
}

// readable returns arguments in a form that the UI can show.
func readable(args sio.Args) []any {
	if size := args.Size(); size > maxArgs {
		return []any{fmt.Sprintf("(%d bytes)", size)}
	}
	values, err := args.Values()
	if err != nil {
		return []any{"(not shown: " + shorten(err.Error()) + ")"}
	}
	for i, v := range values {
		values[i] = withoutBinary(v)
	}
	return values
}

// withoutBinary replaces binary data, which the UI cannot show, by its size.
func withoutBinary(v any) any {
	switch v := v.(type) {
	case []byte:
		return fmt.Sprintf("(%d bytes of binary data)", len(v))
	case []any:
		for i := range v {
			v[i] = withoutBinary(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = withoutBinary(v[name])
		}
	}
	return v
}

func shorten(text string) string {
	if len(text) <= maxName {
		return text
	}
	return text[:maxName] + "..."
}
