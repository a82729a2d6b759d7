package nethttp_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/nethttp"
	"github.com/sioplug/sioplug/core/siotest"
)

type userKey struct{}

// signIn keeps the header X-User in the request's context, and refuses mallory.
func signIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user := r.Header.Get("X-User")
		if user == "mallory" {
			http.Error(w, "sign in", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, user)))
	})
}

// realIP gives handlers what chi knows of the client's address, in the place where
// net/http has it.
func realIP(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ip := middleware.GetClientIP(r.Context()); ip != "" {
			r = r.WithContext(r.Context())
			r.RemoteAddr = ip
		}
		next.ServeHTTP(w, r)
	})
}

func lookup(s *sio.Socket) (tenant, user string) {
	ctx := s.Handshake().Context
	user, _ = ctx.Value(userKey{}).(string)
	return nethttp.PathValue(ctx, "tenant"), user
}

func TestMountOnAServeMux(t *testing.T) {
	onMux := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		mux := http.NewServeMux()
		mux.Handle("/socket.io/", srv)
		return siotest.Loopback(t, mux)
	}
	withPrefix := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		mux := http.NewServeMux()
		mux.Handle("/t/{tenant}/socket.io/", signIn(srv))
		return siotest.Loopback(t, mux).At("/t/acme/socket.io/")
	}
	ownPath := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		mux := http.NewServeMux()
		mux.Handle("/t/{tenant}/live/{$}", signIn(srv))
		return siotest.Loopback(t, mux).At("/t/acme/live/")
	}
	t.Run("app", func(t *testing.T) { siotest.Run(t, onMux) })
	t.Run("prefix", func(t *testing.T) { siotest.Run(t, withPrefix, siotest.Values(lookup)) })
	t.Run("own path", func(t *testing.T) { siotest.Run(t, ownPath, siotest.Values(lookup)) })
}

func TestMountOnChi(t *testing.T) {
	onRouter := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		r := chi.NewRouter()
		r.Handle("/socket.io/*", srv)
		return siotest.Loopback(t, r)
	}
	onGroup := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		r := chi.NewRouter()
		r.Route("/t/{tenant}", func(r chi.Router) {
			r.Use(signIn)
			r.Handle("/socket.io/*", srv)
		})
		return siotest.Loopback(t, r).At("/t/acme/socket.io/")
	}
	ownPath := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		r := chi.NewRouter()
		r.With(signIn).Handle("/t/{tenant:[a-z]+}/live/", srv)
		return siotest.Loopback(t, r).At("/t/acme/live/")
	}
	proxied := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		r := chi.NewRouter()
		r.Use(middleware.ClientIPFromXFF("127.0.0.0/8"), realIP)
		r.Handle("/socket.io/*", srv)
		return siotest.Loopback(t, r)
	}
	t.Run("app", func(t *testing.T) { siotest.Run(t, onRouter) })
	t.Run("group", func(t *testing.T) { siotest.Run(t, onGroup, siotest.Values(lookup)) })
	t.Run("own path", func(t *testing.T) { siotest.Run(t, ownPath, siotest.Values(lookup)) })
	t.Run("behind a proxy", func(t *testing.T) { siotest.Run(t, proxied, siotest.Proxied()) })
}
