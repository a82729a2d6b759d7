package auth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/auth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret is what most tests sign with.
var secret = []byte("0123456789abcdef0123456789abcdef")

// Keys take long to make, so the tests share them.
var keys = sync.OnceValue(func() (k struct {
	rsa     *rsa.PrivateKey
	p256    *ecdsa.PrivateKey
	p384    *ecdsa.PrivateKey
	p521    *ecdsa.PrivateKey
	ed25519 ed25519.PrivateKey
	edwards ed25519.PublicKey
},
) {
	k.rsa, _ = rsa.GenerateKey(rand.Reader, 2048)
	k.p256, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	k.p384, _ = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	k.p521, _ = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	k.edwards, k.ed25519, _ = ed25519.GenerateKey(rand.Reader)
	return k
})

// claims are a token's, each test with changes of its own.
type claims map[string]any

// ann's claims are good for an hour.
func ann(changes claims) jwt.MapClaims {
	c := jwt.MapClaims{"sub": "ann", "exp": time.Now().Add(time.Hour).Unix()}
	for name, v := range changes {
		if v == nil {
			delete(c, name)
		} else {
			c[name] = v
		}
	}
	return c
}

// merge returns claims with changes.
func merge(c, changes claims) claims {
	c = maps.Clone(c)
	maps.Copy(c, changes)
	return c
}

func sign(tb testing.TB, method jwt.SigningMethod, key any, c jwt.MapClaims, header ...any) string {
	tb.Helper()
	t := jwt.NewWithClaims(method, c)
	for i := 0; i+1 < len(header); i += 2 {
		name, _ := header[i].(string)
		t.Header[name] = header[i+1]
	}
	s, err := t.SignedString(key)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// token is signed by the secret.
func token(tb testing.TB, changes claims) string {
	tb.Helper()
	return sign(tb, jwt.SigningMethodHS256, secret, ann(changes))
}

func hs256(opts ...auth.VerifyOption) auth.Verifier[auth.Identity] {
	return auth.HS256[auth.Identity](secret, opts...)
}

// A logbook keeps what is logged, at any level.
type logbook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// levelOf returns the level of the first line about a namespace.
func (l *logbook) levelOf(ns string) string {
	for line := range strings.SplitSeq(l.String(), "\n") {
		if strings.Contains(line, " ns="+ns+" ") {
			_, level, _ := strings.Cut(line, "level=")
			level, _, _ = strings.Cut(level, " ")
			return level
		}
	}
	return ""
}

func (l *logbook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// bubble runs f in fake time, with a server in memory.
func bubble(t *testing.T, opts *sio.Options, f func(t *testing.T, srv *sio.Server, d siotest.Dialer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var o sio.Options
		if opts != nil {
			o = *opts
		}
		log := new(logbook)
		if o.Logger == nil {
			o.Logger = log.logger()
		}
		srv := sio.New(&o)
		d := siotest.Pipes(t, srv)
		t.Cleanup(func() {
			if err := srv.Shutdown(context.Background()); err != nil {
				t.Errorf("shutdown: %v", err)
			}
			if s := log.String(); strings.Contains(s, "level=ERROR") || strings.Contains(s, "level=WARN") {
				t.Errorf("a client made the server log above Debug:\n%s", s)
			}
		})
		f(t, srv, d)
	})
}

// enter connects by the packet API with a token, in a bubble.
func enter(t *testing.T, d siotest.Dialer, token string) *siotest.Client {
	t.Helper()
	c := d.WebSocket(t)
	c.Connect("/", fmt.Sprintf(`{"token":%q}`, token))
	synctest.Wait() // until all is done that follows the answer
	return c
}

// who answers with the subject.
func who(srv *sio.Server) {
	srv.On("who", sio.Reply(func(c *sio.Ctx, _ struct{}) (string, error) {
		if id := auth.Claims[auth.Identity](c.Socket); id != nil {
			return id.Subject + " " + auth.Subject(c.Socket), nil
		}
		return "nobody", nil
	}))
}

// An audit keeps what observers are told, a line each.
type audit struct {
	mu    sync.Mutex
	lines []string
}

func (a *audit) observe() auth.Option {
	return auth.Observe(func(e auth.Event) {
		a.mu.Lock()
		defer a.mu.Unlock()
		line := fmt.Sprint(e.Kind, " ", e.Subject, " ", e.Name, " ", e.Code)
		a.lines = append(a.lines, strings.Join(strings.Fields(line), " "))
	})
}

// want fails unless this is all, after everything that goes on in the bubble.
func (a *audit) want(t *testing.T, lines ...string) {
	t.Helper()
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Equal(a.lines, lines) {
		t.Errorf("observed %q\nwant     %q", a.lines, lines)
	}
}

func writeFile(t *testing.T, content string) (name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(name, []byte(content), 0o600))
	return name
}

// quiet are options of a key set that is expected to fail.
func quiet() *auth.KeySetOptions {
	return &auth.KeySetOptions{Logger: slog.New(slog.DiscardHandler)}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// silent is for guards whose tokens have no subject, which they log.
func silent() auth.Option { return auth.Logger(slog.New(slog.DiscardHandler)) }
