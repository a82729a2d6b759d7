package sio_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

// answerOf returns the answer that a probe gets.
func answerOf(t *testing.T, h http.Handler, method string) (status int, text string, header http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/healthz", http.NoBody))
	res := w.Result()
	body, err := io.ReadAll(res.Body)
	must(t, errors.Join(err, res.Body.Close()))
	return res.StatusCode, string(body), res.Header
}

func wantAnswer(t *testing.T, h http.Handler, status int, text string) {
	t.Helper()
	gotStatus, gotText, _ := answerOf(t, h, http.MethodGet)
	if gotStatus != status || gotText != text {
		t.Errorf("got %d %q, want %d %q", gotStatus, gotText, status, text)
	}
}

func TestProbes(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		ready, live := srv.ReadyHandler(nil), srv.LiveHandler()
		wantAnswer(t, ready, http.StatusOK, "ready\n")
		wantAnswer(t, live, http.StatusOK, "alive\n")
		c := d.WebSocket(t)
		c.Connect("/", "")
		go c.UntilClosed()
		ended := make(chan error)
		go func() { ended <- srv.Drain(t.Context(), &sio.DrainOptions{Delay: time.Minute}) }()
		synctest.Wait()
		wantAnswer(t, ready, http.StatusServiceUnavailable, "stopping\n") // from the first moment
		wantAnswer(t, live, http.StatusOK, "alive\n")
		must(t, <-ended)
		wantAnswer(t, ready, http.StatusServiceUnavailable, "stopping\n")
		wantAnswer(t, live, http.StatusOK, "alive\n")
	})
}

func TestProbesAfterShutdown(t *testing.T) {
	srv := newServer(t, nil)
	must(t, srv.Shutdown(t.Context()))
	wantAnswer(t, srv.ReadyHandler(nil), http.StatusServiceUnavailable, "stopping\n")
	wantAnswer(t, srv.LiveHandler(), http.StatusOK, "alive\n")
}

func TestProbeRequests(t *testing.T) {
	srv := newServer(t, nil)
	defer shutdown(t, srv)
	for name, h := range map[string]http.Handler{"ready\n": srv.ReadyHandler(nil), "alive\n": srv.LiveHandler()} {
		_, _, get := answerOf(t, h, http.MethodGet)
		status, text, head := answerOf(t, h, http.MethodHead)
		if status != http.StatusOK || text != "" {
			t.Errorf("HEAD gets %d %q", status, text)
		}
		for _, header := range []http.Header{get, head} {
			for key, want := range map[string]string{
				"Cache-Control": "no-store", "Content-Type": "text/plain; charset=utf-8", "Content-Length": "6", "X-Content-Type-Options": "nosniff",
			} {
				if got := header.Get(key); got != want {
					t.Errorf("%q: %s is %q", name, key, got)
				}
			}
		}
		status, text, header := answerOf(t, h, http.MethodPost)
		if status != http.StatusMethodNotAllowed || text != "" || header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST gets %d %q, Allow: %s", status, text, header.Get("Allow"))
		}
	}
}

func TestReadyWithoutTheCluster(t *testing.T) {
	status := adapter.Status{Err: errors.New("redis.internal:6379: connection refused")}
	c := newTelling()
	c.status = func() adapter.Status { return status }
	srv := newServer(t, &sio.Options{Adapter: c})
	defer shutdown(t, srv)
	wantAnswer(t, srv.ReadyHandler(nil), http.StatusOK, "ready\n")
	wantAnswer(t, srv.ReadyHandler(&sio.ReadyOptions{Cluster: true}), http.StatusServiceUnavailable, "cluster\n") // and no address
	wantAnswer(t, srv.LiveHandler(), http.StatusOK, "alive\n")
	status = adapter.Status{Healthy: true}
	wantAnswer(t, srv.ReadyHandler(&sio.ReadyOptions{Cluster: true}), http.StatusOK, "ready\n")
}
