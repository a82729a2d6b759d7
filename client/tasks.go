package sioclient

import (
	"context"
	"log/slog"

	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/serial"
)

// A task is a call of the application's code. It implements [serial.Task]. The tasks of a
// Manager run in the order of their packets, on a goroutine that exists while there are
// any: see [serial.Line].
type task struct {
	run  func() error
	done func(err error) // not nil if run may fail
	size int
	what string // for the log
	m    *Manager
}

// taskOverhead is about the memory of a waiting task in bytes, without its content.
const taskOverhead = 256

// Run implements [serial.Task].
func (t *task) Run() error { return t.run() }

// Done implements [serial.Task].
func (t *task) Done(err error) {
	switch {
	case err == nil:
	case t.done != nil:
		t.done(err)
	default:
		t.m.logError(t.what+" failed", err)
	}
}

// Size implements [serial.Task].
func (t *task) Size() int { return taskOverhead + t.size }

func (m *Manager) logError(msg string, err error) {
	attrs := []slog.Attr{errAttr(err)}
	if stack := rescue.StackOf(err); stack != nil {
		attrs = append(attrs, slog.String("stack", string(stack)))
	}
	m.opts.Logger.LogAttrs(context.Background(), slog.LevelError, msg, attrs...) //nolint:sloglint // its callers have constants
}

// debugLocked logs what the server can cause. The log is the application's, so it is
// called without the lock.
func (m *Manager) debugLocked(msg string, attrs ...slog.Attr) {
	m.pushLocked(&m.queue, "logging", func() {
		m.opts.Logger.LogAttrs(context.Background(), slog.LevelDebug, msg, attrs...) //nolint:sloglint // its callers have constants
	})
}

func errAttr(err error) slog.Attr { return slog.Any("err", err) }

func (m *Manager) newTask(what string, f func()) *task {
	return &task{m: m, what: what, run: func() error { f(); return nil }}
}

// pushLocked adds a call to a queue. The line has to be started.
func (m *Manager) pushLocked(q *serial.Queue[*task], what string, f func()) {
	if _, err := q.Push(m.newTask(what, f)); err == nil { // queues are never closed
		m.line.Add(q)
	}
}

// hookName is what the log calls a hook.
const hookName = "a function of Hooks"

// hookLocked adds a call of a hook, if there is one.
func (m *Manager) hookLocked(f func()) {
	if f != nil {
		m.pushLocked(&m.queue, hookName, f)
	}
}

func (m *Manager) hookCloseLocked(reason Reason, err error) {
	if f := m.opts.Hooks.Close; f != nil {
		m.hookLocked(func() { f(reason, err) })
	}
}
