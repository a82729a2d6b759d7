package fasthttpx //nolint:testpackage // it is about what is not exported

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

const limit = 10 * time.Second

// An answer that is being written as fasthttp does it, to a client that reads when
// it is told to.
type writing struct {
	*answer

	client net.Conn
	sent   []error // what was said about it
	done   chan error
}

func write(t *testing.T, size int, own time.Duration) *writing {
	t.Helper()
	server, client := net.Pipe()
	t.Cleanup(func() { _, _ = server.Close(), client.Close() })
	w := &writing{answer: &answer{conn: server, own: own}, client: client, done: make(chan error, 1)}
	w.Reset(make([]byte, size))
	w.answer.sent = func(err error) { w.sent = append(w.sent, err) }
	w.sendWithin(time.Hour)
	w.sendWithin(limit)
	w.sendWithin(time.Hour) // the earliest counts
	if own > 0 {
		_ = server.SetWriteDeadline(time.Now().Add(own)) // as fasthttp does
	}
	go func() {
		_, err := w.WriteTo(bufio.NewWriterSize(server, 4096))
		_ = w.Close()
		w.done <- err
	}()
	return w
}

func (w *writing) wantGivenUp(t *testing.T, after time.Duration) {
	t.Helper()
	start := time.Now()
	if err := <-w.done; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != after {
		t.Errorf("after %v: %v, want it given up after %v", time.Since(start), err, after)
	}
	if len(w.sent) != 1 || !errors.Is(w.sent[0], os.ErrDeadlineExceeded) {
		t.Errorf("it was said %v, want once that it will never leave", w.sent)
	}
}

// fasthttp writes an answer when nobody of ours is there to look at it.
func TestAnswersThatNobodyReadsAreGivenUp(t *testing.T) {
	for name, size := range map[string]int{"small": 1, "large": 100_000} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { write(t, size, 0).wantGivenUp(t, limit) })
		})
		t.Run(name+", WriteTimeout is earlier", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { write(t, size, time.Second).wantGivenUp(t, time.Second) })
		})
		t.Run(name+", WriteTimeout is later", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { write(t, size, time.Minute).wantGivenUp(t, limit) })
		})
		t.Run(name+", the session has ended", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := write(t, size, time.Minute)
				synctest.Wait()
				w.sendWithin(2 * time.Second)
				w.wantGivenUp(t, 2*time.Second)
			})
		})
		t.Run(name+", read in time", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := write(t, size, 0)
				time.Sleep(limit - 1)
				if _, err := io.ReadFull(w.client, make([]byte, size)); err != nil {
					t.Fatal(err)
				}
				if err := <-w.done; err != nil || len(w.sent) != 1 || w.sent[0] != nil {
					t.Errorf("%v, told %v, want once that it has left", err, w.sent)
				}
				time.Sleep(time.Hour) // nothing of it is left for the next answer
				go func() { _, _ = w.client.Read(make([]byte, 1)) }()
				if _, err := w.conn.Write([]byte("x")); err != nil {
					t.Errorf("the next answer: %v", err)
				}
			})
		})
	}
	t.Run("never written", func(t *testing.T) {
		a := &answer{}
		a.Reset([]byte("body"))
		var told []error
		a.sent = func(err error) { told = append(told, err) }
		_, _ = a.Close(), a.Close()
		if len(told) != 1 || !errors.Is(told[0], errNotWritten) {
			t.Errorf("it was said %v, want once that it will never leave", told)
		}
	})
	t.Run("taken by middleware", func(t *testing.T) {
		a := &answer{}
		a.Reset([]byte("body"))
		var told []error
		a.sent = func(err error) { told = append(told, err) }
		a.sendWithin(limit)
		var buf bytes.Buffer
		if _, err := a.WriteTo(&buf); err != nil || buf.String() != "body" {
			t.Errorf("%q, %v", buf.String(), err)
		}
		if _ = a.Close(); len(told) != 1 || told[0] != nil {
			t.Errorf("it was said %v, want once that it has left", told)
		}
	})
}
