package auth_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/auth"
)

// BenchmarkIdleSocket tells what a socket costs that has nothing to do but to wait
// for the end of its token, beyond one of a namespace that asks for none. Sockets
// share connections here, so that nothing else is counted.
func BenchmarkIdleSocket(b *testing.B) {
	for _, bb := range []struct {
		name   string
		claims claims
	}{
		{"token", nil},
		{"token with an id", claims{"jti": "0123456789abcdef"}},
		{"token without end", claims{"exp": nil}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			var cost float64
			for b.Loop() {
				cost = idle(b, func(n int) string { return token(b, merge(claims{"sub": fmt.Sprint("user ", n)}, bb.claims)) })
			}
			b.ReportMetric(cost, "B/socket")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// idle returns how many bytes a guarded socket costs more than a bare one.
func idle(b *testing.B, token func(n int) string) float64 {
	b.Helper()
	const clients, each = 170, 30 // a client may have 100 namespaces
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	d := siotest.Pipes(b, srv)
	var all [clients]*siotest.Client
	for i := range all {
		all[i] = d.WebSocket(b)
	}
	fill := func(kind string, mw ...sio.Middleware) int64 {
		for i := range each {
			srv.Of(fmt.Sprintf("/%s/%d", kind, i)).UseConnect(mw...)
		}
		before := heap()
		for n, c := range all {
			for i := range each {
				c.Connect(fmt.Sprintf("/%s/%d", kind, i), fmt.Sprintf(`{"token":%q}`, token(n*each+i)))
			}
		}
		return heap() - before
	}
	fill("first") // fills pools
	bare := fill("bare")
	guarded := fill("guarded", auth.Require(hs256(auth.InsecureNoExpiry())))
	for _, c := range all {
		c.Abort()
	}
	if err := srv.Shutdown(context.Background()); err != nil {
		b.Error(err)
	}
	return float64(guarded-bare) / clients / each
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // what finalizers have let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkVerify tells what a connect or a refresh costs beyond its packets.
func BenchmarkVerify(b *testing.B) {
	k := keys()
	for _, bb := range []struct {
		method jwt.SigningMethod
		sign   any
		verify auth.Verifier[auth.Identity]
	}{
		{jwt.SigningMethodHS256, secret, hs256()},
		{jwt.SigningMethodRS256, k.rsa, auth.RS256[auth.Identity](&k.rsa.PublicKey)},
		{jwt.SigningMethodES256, k.p256, auth.ES256[auth.Identity](&k.p256.PublicKey)},
	} {
		b.Run(bb.method.Alg(), func(b *testing.B) {
			tok := sign(b, bb.method, bb.sign, ann(nil))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bb.verify(b.Context(), tok); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
