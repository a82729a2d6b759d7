package ratelimit

import (
	"context"
	"net/http"
	"strconv"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// Handshakes returns a function for [sio.Options.UseRequest] that limits new connections:
// all clients of an address together may open n of them in the given time. Further
// requests are answered with status 429 and a Retry-After header, before the server
// allocates anything for them. Requests of open connections are not counted.
//
//	sio.New(&sio.Options{UseRequest: []func(http.Header, *sio.Request) error{
//		ratelimit.Handshakes(60, time.Minute),
//	}})
//
// The options Burst, In, MaxKeys, IPv6Prefix, Name, Observe and Logger apply.
func Handshakes(n int, per time.Duration, opts ...Option) func(h http.Header, r *sio.Request) error {
	g := newGuard("handshakes", opts)
	rate := g.rate(n, per)
	return func(h http.Header, r *sio.Request) error {
		if !opens(r) {
			return nil
		}
		key := g.addressKey(r.ClientIP)
		v, err := g.limiter.Take(context.Background(), g.bucket(key), rate, 1, 0)
		switch {
		case err != nil:
			err = g.failed(err)
			g.notify(Refusal{Limit: g.name, Key: key, Err: err})
			refusal := g.refusal(codeUnavailable, err)
			return &sio.HTTPError{Status: http.StatusServiceUnavailable, Err: &refusal}
		case v.OK:
			return nil
		}
		g.notify(Refusal{Limit: g.name, Key: key, RetryAfter: v.Wait})
		if v.Wait > 0 {
			h.Set("Retry-After", strconv.FormatInt(int64((v.Wait+time.Second-1)/time.Second), 10))
		}
		refusal := g.refusal(codeLimited, nil)
		return &sio.HTTPError{Status: http.StatusTooManyRequests, Err: &refusal}
	}
}

// opens reports whether a request is for a new connection. If it has several
// session ids, the server goes by the last one.
func opens(r *sio.Request) bool {
	ids := r.Query["sid"]
	return (len(ids) == 0 || ids[len(ids)-1] == "") && r.Method != http.MethodOptions
}
