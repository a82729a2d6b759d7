package auth_test

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/auth"
)

// unprintable panics with itself when it is printed.
type unprintable struct{}

func (u unprintable) Error() string { panic(u) }

func failures() map[string]func() {
	return map[string]func(){
		"panic":              func() { panic("a bug") },
		"unprintable panic":  func() { panic(unprintable{}) },
		"end of a goroutine": runtime.Goexit,
	}
}

// A failingLog fails with every record.
type failingLog struct{ fail func() }

func (failingLog) Enabled(context.Context, slog.Level) bool    { return true }
func (l failingLog) Handle(context.Context, slog.Record) error { l.fail(); return nil }
func (l failingLog) WithAttrs([]slog.Attr) slog.Handler        { return l }
func (l failingLog) WithGroup(string) slog.Handler             { return l }

// A socket must not outlive its token because somebody who is told of that fails.
func TestSocketsExpireWhateverObserversDo(t *testing.T) {
	for name, fail := range failures() {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				armed := false
				srv.UseConnect(auth.Require(hs256(), auth.WarnBefore(0), auth.Logger(slog.New(failingLog{fail})),
					auth.Observe(func(auth.Event) {
						if armed {
							fail()
						}
					})))
				c := enter(t, d, token(t, nil))
				armed = true
				c.Want(tokenExpired, "41")
			})
		})
	}
}

// A failingClient fails instead of fetching.
type failingClient struct{ fail func() }

func (c failingClient) RoundTrip(*http.Request) (*http.Response, error) { c.fail(); return nil, nil }

// A fetch that fails must not keep those waiting who need the keys.
func TestKeySetSurvivesItsClient(t *testing.T) {
	for name, fail := range failures() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				keys := auth.KeysFromURL("https://issuer.example/keys", &auth.KeySetOptions{
					Client: &http.Client{Transport: failingClient{fail}}, Logger: slog.New(failingLog{fail}),
				})
				verify := auth.JWKS[auth.Identity](keys)
				if _, err := verify(t.Context(), token(t, nil)); err == nil {
					t.Error("verified without keys")
				}
			})
		})
	}
}
