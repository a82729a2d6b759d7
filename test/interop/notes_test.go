package interop_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
)

// Notes are what handlers leave for a scenario about a client that is gone, and so
// cannot be told over its own connection. Each is made once and read once.
type notes struct {
	t *testing.T

	mu     sync.Mutex
	byName map[string]chan string
}

func newNotes(t *testing.T) *notes {
	t.Helper()
	return &notes{t: t, byName: make(map[string]chan string)}
}

// make leaves a note. A second one of the same name fails the test.
func (n *notes) make(name, text string) {
	select {
	case n.note(name) <- text:
	default:
		n.t.Errorf("%q was noted twice, now as %q", name, text)
	}
}

// wait returns the note of that name as soon as there is one.
func (n *notes) wait(ctx context.Context, name string) (string, error) {
	select {
	case text := <-n.note(name):
		return text, nil
	case <-ctx.Done():
		return "", fmt.Errorf("waiting for %q: %w", name, ctx.Err())
	}
}

func (n *notes) note(name string) chan string {
	n.mu.Lock()
	defer n.mu.Unlock()
	c, ok := n.byName[name]
	if !ok {
		c = make(chan string, 1)
		n.byName[name] = c
	}
	return c
}
