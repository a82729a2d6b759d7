package interop_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/parser/msgpack"
	siogin "github.com/sioplug/sioplug/integrations/gin"
)

// twoParsers is the Gin application with a second server beside the usual one, at
// /packed/, which speaks MessagePack.
func twoParsers(t *testing.T) mount {
	t.Helper()
	m := onGin()
	m.backend = func(srv *sio.Server) backend {
		log := slog.New(slog.NewTextHandler(t.Output(), nil))
		packed := newServer(m, log, newNotes(t), sio.Options{Parser: msgpack.Parser{}, ConnectionStateRecovery: recovery()})
		r := newGin(srv)
		r.Any("/packed/*any", siogin.Handler(packed))
		return twoServers{overHTTP(r), packed}
	}
	return m
}

type twoServers struct {
	*http.Server

	packed *sio.Server
}

func (s twoServers) Shutdown(ctx context.Context) error {
	return errors.Join(s.packed.Shutdown(ctx), s.Server.Shutdown(ctx))
}
