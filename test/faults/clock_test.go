package faults_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// A laptop sleeps for eight hours: nothing goes through the network, in either direction.
// The server gives the client up in time. What it sent meanwhile comes to a connection that
// has ended. The client comes back by itself, and what it emits then arrives once.
func TestNetworkSleepsForEightHours(t *testing.T) {
	inFakeTime(t, sio.Options{}, func(t *testing.T, w *fakeTime) {
		time.Sleep(10 * time.Second)
		thaw := w.cable.freeze()
		if err := w.client.Emit("number", -1); err != nil { // it is lost with the connection
			t.Fatal(err)
		}
		w.wantEnds(t, pingInterval+pingTimeout, pingInterval+pingTimeout)
		for i := range 10 {
			if err := w.client.Emit("number", i); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(8 * time.Hour)
		if n := w.srv.ClientsCount(); n != 0 {
			t.Errorf("%d clients while the network sleeps", n)
		}
		thaw()
		<-w.back
		w.wantNumbers(t, 10)
	})
}

// A client sleeps for eight hours, and its machine with it: it neither answers pings nor
// notices. When it wakes up, the server does not know it, and handles nothing of what it
// sends.
func TestClientSleepsForEightHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sio.New(nil)
		defer func() { _ = srv.Shutdown(t.Context()) }()
		srv.On("say", func(*sio.Ctx) error { t.Error("an event was handled"); return nil })
		ends := make(chan time.Duration, 10)
		began := time.Now()
		srv.OnDisconnect(func(_ *sio.Socket, r sio.Reason) {
			if r != sio.ReasonPingTimeout {
				t.Errorf("reason %q", r)
			}
			ends <- time.Since(began)
		})
		d := siotest.Pipes(t, srv)
		p := d.Polling(t)
		p.Connect("/", "")
		conn, err := d.Dial(t.Context(), "tcp", "")
		if err != nil {
			t.Fatal(err)
		}
		c := newRaw(t, conn)
		c.send(webSocketRequest(""), text("40"))
		if !c.connected() {
			t.Fatal("not connected")
		}
		time.Sleep(8 * time.Hour)
		for range 2 {
			if took := <-ends; took != pingInterval+pingTimeout {
				t.Errorf("ended after %v", took)
			}
		}
		if n := srv.ClientsCount(); n != 0 || len(ends) > 0 {
			t.Errorf("%d clients, %d more ends", n, len(ends))
		}
		if _, err := c.Write(text(say("late", "a", ""))); err == nil { // nobody reads a pipe that is closed
			t.Error("the WebSocket is still there")
		}
		res, err := d.HTTP(t).Post(d.Endpoint("EIO", "4", "transport", "polling", "sid", p.SID()), "text/plain", strings.NewReader(say("late", "b", "")))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("the POST was answered %s", res.Status)
		}
	})
}

// byTheWallClock are the functions that may look at the wall clock without a monotonic
// one, and why. Everything else that waits or compares times goes on if somebody sets the
// clock.
var byTheWallClock = map[string]string{
	"core/client.go open":                     "clients are told when a handshake was",
	"client/internal/eio/engine.go now":       "it goes on while the machine sleeps",
	"client/internal/eio/polling.go endpoint": "makes requests differ",
	"middleware/auth/revocations.go revoke":   "is compared with the times of tokens, on other servers",
}

// Nothing but these depends on the wall clock, which operators and time servers set.
func TestWallClock(t *testing.T) {
	root := filepath.Join("..", "..")
	used := make(map[string]bool)
	files := 0
	for _, folder := range []string{"adapters", "client", "core", "integrations", "internal", "middleware"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			files++
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			src, err := os.ReadFile(name)
			if err != nil || !bytes.Contains(src, []byte("time.Now()")) {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && looksAtWallClock(fn) {
					place := filepath.ToSlash(rel) + " " + fn.Name.Name
					if used[place] = true; byTheWallClock[place] == "" {
						t.Errorf("%s looks at the wall clock: use time.Since, or say why not in byTheWallClock", place)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 200 {
		t.Errorf("only %d files were read", files)
	}
	for place := range byTheWallClock {
		if !used[place] {
			t.Errorf("%s does not look at the wall clock any more: remove it", place)
		}
	}
}

// looksAtWallClock reports whether a function takes the monotonic part away from the
// current time.
func looksAtWallClock(f *ast.FuncDecl) (found bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if s, ok := call.Fun.(*ast.SelectorExpr); ok && losesMonotonic(s.Sel.Name) && usesNow(s.X) {
			found = true
		}
		return true
	})
	return found
}

func losesMonotonic(method string) bool {
	return slices.Contains([]string{
		"Unix", "UnixMilli", "UnixMicro", "UnixNano", "Round", "Truncate", "UTC", "Local", "In", "AddDate", "MarshalJSON", "Format",
	}, method)
}

// usesNow reports whether an expression is made of the current time.
func usesNow(x ast.Expr) (found bool) {
	ast.Inspect(x, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Now" {
			if pkg, ok := s.X.(*ast.Ident); ok && pkg.Name == "time" {
				found = true
			}
		}
		return true
	})
	return found
}
