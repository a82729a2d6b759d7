package engine_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// read tells when somebody begins to read a body.
type read struct {
	io.ReadCloser

	begins chan<- struct{}
}

func (r read) Read(p []byte) (int, error) {
	select {
	case r.begins <- struct{}{}:
	default:
	}
	return r.ReadCloser.Read(p)
}

// watched serves the kit and tells when it begins to read the body of a POST.
func watched(k *enginetest.Kit) (http.Handler, <-chan struct{}) {
	reads := make(chan struct{}, 1)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = read{r.Body, reads}
		k.ServeHTTP(w, r)
	}), reads
}

// halfPost sends a POST with half of its body and returns when the server waits
// for the rest.
func halfPost(t *testing.T, k *enginetest.Kit, web *httptest.Server, p *enginetest.Polling, reads <-chan struct{}) net.Conn {
	t.Helper()
	nc := k.Connect(web)
	if _, err := fmt.Fprintf(nc, "POST /?%s HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n4x", p.Query()); err != nil {
		t.Fatal(err)
	}
	<-reads
	return nc
}

// The endings of a session whose client has not finished a POST.
func TestUnfinishedPost(t *testing.T) {
	for _, c := range []struct {
		name   string
		end    func(t *testing.T, k *enginetest.Kit, p *enginetest.Polling)
		reason engine.Reason
	}{
		{"EIO-POST-8 second POST", func(t *testing.T, _ *enginetest.Kit, p *enginetest.Polling) {
			same(t, "second", p.Post("4y"), "400")
		}, engine.TransportError},
		{"EIO-GET-5 second GET", func(t *testing.T, _ *enginetest.Kit, p *enginetest.Polling) {
			first := p.Poll()
			second := p.Poll() // whichever comes first
			statuses := map[string]bool{first.Wait().String(): true, second.Wait().String(): true}
			same(t, "one is answered", statuses["200 1"], true)
			same(t, "one is refused", statuses["400"], true)
		}, engine.TransportError},
		{"EIO-POST-17, EIO-CL-6 the server closes", func(t *testing.T, _ *enginetest.Kit, p *enginetest.Polling) {
			p.Session.Close(nil)
			same(t, "EIO-CL-4 next poll", p.Get(), "200 6\x1e1")
		}, engine.ForcedClose},
		{"EIO-CL-6 the server shuts down", func(t *testing.T, k *enginetest.Kit, _ *enginetest.Polling) {
			if err := k.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		}, engine.ForcedClose},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := enginetest.New(t, engine.Options{})
			h, reads := watched(k)
			web := k.ListenTo(h)
			p := k.OpenPolling()
			nc := halfPost(t, k, web, p, reads)
			c.end(t, k, p)
			answer, _ := io.ReadAll(nc) // a reset connection is fine, too
			same(t, "answer", string(answer), "")
			same(t, "reason", p.End().Reason, c.reason)
			wantMessages(t, p.Peer)
		})
	}
	t.Run("EIO-POST-9 the client leaves", func(t *testing.T) {
		k := enginetest.New(t, engine.Options{})
		h, reads := watched(k)
		web := k.ListenTo(h)
		p := k.OpenPolling()
		_ = halfPost(t, k, web, p, reads).Close()
		same(t, "error", p.End().Err.Error(), "data request connection closed prematurely")
	})
	t.Run("EIO-CL-4 a POST behind the close is answered", func(t *testing.T) {
		k := enginetest.New(t, engine.Options{})
		p := k.OpenPolling()
		p.Session.Close(nil)
		same(t, "POST", p.Post("4x"), "200 ok")
		wantMessages(t, p.Peer)
		same(t, "poll", p.Get(), "200 6\x1e1")
	})
}

// Over HTTP/2, other requests share the connection, so it has to stay.
func TestUnfinishedPostHTTP2(t *testing.T) {
	k := enginetest.New(t, engine.Options{})
	h, reads := watched(k)
	web := k.ListenTLS(h)
	p := k.OpenPolling()
	body, rest := io.Pipe()
	defer rest.Close()
	done := make(chan int, 1)
	go func() {
		status, _ := do(t, web, http.MethodPost, p.Query(), body)
		done <- status
	}()
	if _, err := rest.Write([]byte("4x")); err != nil {
		t.Fatal(err)
	}
	<-reads
	p.Session.Close(nil)
	same(t, "EIO-CL-6 answer", <-done, http.StatusBadRequest)
	status, answer := do(t, web, http.MethodGet, p.Query(), strings.NewReader(""))
	same(t, "next poll", status, http.StatusOK)
	same(t, "next poll", answer, "6\x1e1")
}
