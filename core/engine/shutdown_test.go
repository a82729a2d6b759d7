package engine_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// Clients that do nothing for the end of their connections must not keep
// Shutdown longer than its context allows.
func TestShutdownDeadline(t *testing.T) {
	for name, connect := range map[string]func(t *testing.T, k *enginetest.Kit){
		"websocket": func(t *testing.T, k *enginetest.Kit) { openWebSocket(t, k) },
		"upgraded":  func(t *testing.T, k *enginetest.Kit) { upgraded(t, k) },
		"not reading": func(_ *testing.T, k *enginetest.Kit) {
			k.DialPaused(enginetest.Request{Query: websocket, Header: enginetest.Handshake()})
			synctest.Wait()
			k.LastPeer().Send("never read")
		},
		"closing": func(t *testing.T, k *enginetest.Kit) {
			_, p := openWebSocket(t, k)
			p.Session.Close(nil)
		},
		"second connection of a session (EIO-UP-9)": func(t *testing.T, k *enginetest.Kit) {
			_, p := openWebSocket(t, k)
			wantFrames(t, k.Dial(websocket+"&sid="+p.Session.ID()), "close")
		},
		"refused while probing (EIO-UP-6)": func(t *testing.T, k *enginetest.Kit) {
			c := k.OpenPolling().Upgrade()
			c.Text("garbage")
			wantFrames(t, c, "close")
		},
	} {
		inBubble(t, "EIO-CL-8 "+name, engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
			connect(t, k)
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := k.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Shutdown: %v", err)
			}
			same(t, "took", time.Since(start), time.Second)
			synctest.Wait()
			same(t, "sessions", k.Remembered(), 0)
		})
	}
	inBubble(t, "EIO-CL-8 without a deadline, closeTimeout is the limit", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		openWebSocket(t, k)
		start := time.Now()
		if err := k.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		same(t, "took", time.Since(start), 30*time.Second)
	})
}

// A timer or a table that forgot to let go would keep the session in memory.
// That no goroutine stays is checked by TestMain, and by the bubbles.
func TestNothingStays(t *testing.T) {
	for name, run := range map[string]func(t *testing.T, k *enginetest.Kit) *engine.Session{
		"polling closed by its client": func(_ *testing.T, k *enginetest.Kit) *engine.Session {
			p := k.OpenPolling()
			p.Post("1")
			time.Sleep(time.Minute)
			return p.Session
		},
		"polling closed by the server": func(t *testing.T, k *enginetest.Kit) *engine.Session {
			p := k.OpenPolling()
			p.Session.Close(nil)
			same(t, "poll", p.Get(), "200 6\x1e1")
			return p.Session
		},
		"polling that timed out": func(_ *testing.T, k *enginetest.Kit) *engine.Session {
			p := k.OpenPolling()
			p.End()
			return p.Session
		},
		"websocket": func(t *testing.T, k *enginetest.Kit) *engine.Session {
			c, p := openWebSocket(t, k)
			p.Send("x")
			_ = c.Close()
			return p.Session
		},
		"upgraded": func(t *testing.T, k *enginetest.Kit) *engine.Session {
			c, p := upgraded(t, k)
			_ = c.Close()
			return p.Session
		},
		"upgrading": func(_ *testing.T, k *enginetest.Kit) *engine.Session {
			p := k.OpenPolling()
			p.Upgrade().Text("2probe")
			p.Get()
			p.Post("1")
			time.Sleep(time.Minute)
			return p.Session
		},
	} {
		t.Run("EIO-CL-9 "+name, func(t *testing.T) {
			var server *engine.Server
			var session weak.Pointer[engine.Session]
			synctest.Test(t, func(t *testing.T) {
				k := enginetest.New(t, engine.Options{})
				server = k.Server
				session = weak.Make(run(t, k))
				synctest.Wait()
				same(t, "sessions", k.Remembered(), 0)
			})
			for range 5 {
				runtime.GC()
			}
			if session.Value() != nil {
				t.Error("the session is still in memory")
			}
			runtime.KeepAlive(server)
		})
	}
}
