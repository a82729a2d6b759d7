package sharedlog

import (
	"cmp"
	"sync"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
)

// Logs are the logs of all namespaces of a server. The zero value is empty.
type Logs struct {
	// LocalWait is how long own clients wait for a message that the broker does not give
	// back, half a second by default. Tests wait longer.
	LocalWait time.Duration

	mu   sync.Mutex
	logs map[string]*Log // by namespace
}

// Open returns a new log of a namespace, whose messages are in the stream with that order.
func (l *Logs) Open(namespace string, order *Order) *Log {
	log := &Log{
		logs: l, namespace: namespace, order: order, localWait: cmp.Or(l.LocalWait, defaultLocalWait),
		appended: make(map[*adapter.Message]error), unsent: make(map[*adapter.Message]*ownMessage),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.logs == nil {
		l.logs = make(map[string]*Log)
	}
	l.logs[namespace] = log
	return log
}

// Log returns the log of a namespace, nil if it has none.
func (l *Logs) Log(namespace string) *Log {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.logs[namespace]
}

func (l *Logs) remove(log *Log) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.logs[log.namespace] == log {
		delete(l.logs, log.namespace)
	}
}

// Joined gives the log of a namespace, if there is one, the adapter that sends its messages.
// The returned adapter does not publish what the log has sent already.
func (l *Logs) Joined(namespace string, a adapter.Adapter) adapter.Adapter {
	log := l.Log(namespace)
	if log == nil {
		return a
	}
	log.mu.Lock()
	log.adapter = a
	log.mu.Unlock()
	return &loggedAdapter{a, log}
}

// A loggedAdapter does not publish what the log has sent already.
type loggedAdapter struct {
	adapter.Adapter

	log *Log
}

// Publish implements [adapter.Adapter].
func (a *loggedAdapter) Publish(m *adapter.Message) error {
	a.log.mu.Lock()
	err, done := a.log.appended[m]
	delete(a.log.appended, m)
	a.log.mu.Unlock()
	if done {
		return err
	}
	return a.Adapter.Publish(m)
}
