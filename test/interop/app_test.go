package interop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"syscall"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// stopTimeout bounds a graceful stop, and how long to wait for a port to be free.
const stopTimeout = 10 * time.Second

// An app is the program under test: an HTTP server that can stop and start again at
// the same address, and a second one by which the scenarios ask for that.
type app struct {
	url     string
	control *httptest.Server
	notes   *notes

	t     *testing.T
	mount mount
	log   *slog.Logger
	opts  sio.Options
	sent  attempts // of events that clients send again

	mu     sync.Mutex // a scenario stops and starts while others look
	addr   string
	web    backend
	served chan error
	sio    *sio.Server
}

func newApp(t *testing.T, m mount, opts sio.Options) *app {
	t.Helper()
	a := &app{
		t:     t,
		mount: m,
		log:   slog.New(slog.NewTextHandler(t.Output(), nil)),
		notes: newNotes(t),
		addr:  "127.0.0.1:0",
		opts:  opts,
	}
	if err := a.start(); err != nil {
		t.Fatal(err)
	}
	a.url = "http://" + a.addr

	mux := http.NewServeMux()
	mux.Handle("POST /stop", command(a.stop))
	mux.Handle("POST /start", command(a.start))
	mux.HandleFunc("POST /noted/{key}", func(w http.ResponseWriter, r *http.Request) {
		note, err := a.notes.wait(r.Context(), r.PathValue("key"))
		answer(w, note, err)
	})
	a.control = httptest.NewServer(mux)

	t.Cleanup(func() {
		a.control.Close()
		if err := a.stop(); err != nil {
			t.Errorf("stopping the server: %v", err)
		}
	})
	return a
}

func (a *app) start() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	ln, err := listen(a.t.Context(), a.addr)
	if err != nil {
		return err
	}
	a.addr = ln.Addr().String()
	opts := a.opts
	if a.mount.prepare != nil {
		if err := a.mount.prepare(&opts); err != nil {
			return err
		}
	}
	a.sio = newServer(a.mount, a.log, a.notes, opts)
	a.sent.register(a.sio.Of("/"))
	a.web = a.mount.backend(a.sio)
	a.served = make(chan error, 1)
	go func(web backend, served chan<- error) {
		served <- web.Serve(ln)
		close(served) // for a second stop
	}(a.web, a.served)
	return nil
}

// stop ends the sessions first: a long poll would keep the HTTP server waiting.
func (a *app) stop() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.t.Context()), stopTimeout)
	defer cancel()
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := errors.Join(a.sio.Shutdown(ctx), a.web.Shutdown(ctx)); err != nil {
		return err
	}
	if err := <-a.served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// listen opens addr. The port of a server that has just stopped can be in use for a
// moment, when the system gave it to an outgoing connection; then it tries again.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return ln, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for %s: %w", addr, err)
		}
	}
}

// command returns a handler that runs f to its end, also if the client disconnects.
func command(f func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { answer(w, "", f()) }
}

func answer(w http.ResponseWriter, body string, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	io.WriteString(w, body) //nolint:errcheck // the scenario would fail by itself
}
