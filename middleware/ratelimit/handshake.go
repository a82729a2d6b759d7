package ratelimit

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// Handshakes returns a function for [sio.Options.UseRequest] that allows the
// clients of each address together to open n connections in the given time. Others
// are answered with status 429 and a Retry-After header, before anything is kept of
// them. What comes on open connections is not counted.
//
//	sio.New(&sio.Options{UseRequest: []func(http.Header, *sio.Request) error{
//		ratelimit.Handshakes(60, time.Minute),
//	}})
//
// Of the options, Burst, In, MaxKeys, IPv6Prefix, Name and Observe apply.
func Handshakes(n int, per time.Duration, opts ...Option) func(h http.Header, r *sio.Request) error {
	o := newOptions("handshakes", opts)
	rate := o.rate(n, per)
	return func(h http.Header, r *sio.Request) error {
		if r.Query.Get("sid") != "" || r.Method == http.MethodOptions {
			return nil
		}
		key := o.address(r.ClientIP)
		v, err := o.limiter.Take(context.Background(), o.prefix+key, rate, 1, 0)
		if err != nil {
			return fmt.Errorf("ratelimit: asking the limiter: %w", err)
		}
		if v.OK {
			return nil
		}
		o.tell(Refusal{Limit: o.name, Key: key, RetryAfter: v.Wait})
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(v.Wait.Seconds()))))
		return &sio.HTTPError{Status: http.StatusTooManyRequests}
	}
}
