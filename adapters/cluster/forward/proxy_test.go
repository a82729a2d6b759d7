package forward_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/sioplug/sioplug/core/siotest"
)

// roundRobin is a load balancer without sticky sessions in front of the nodes: each request
// goes to the next one.
func roundRobin(tb testing.TB, nodes []*node) siotest.Dialer {
	tb.Helper()
	var next atomic.Uint64
	return balance(tb, func(*http.Request) *node { return nodes[next.Add(1)%uint64(len(nodes))] })
}

// strangers sends handshakes to the first node, and all else to the others.
func strangers(tb testing.TB, nodes []*node) siotest.Dialer {
	tb.Helper()
	var next atomic.Uint64
	return balance(tb, func(r *http.Request) *node {
		if r.URL.Query().Get("sid") == "" {
			return nodes[0]
		}
		return nodes[1+next.Add(1)%uint64(len(nodes)-1)]
	})
}

// balance is a load balancer that sends requests to the nodes that choose says.
func balance(tb testing.TB, choose func(r *http.Request) *node) siotest.Dialer {
	tb.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	p := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			u, err := url.Parse(choose(r.In).web.URL)
			if err != nil {
				panic(err)
			}
			r.SetURL(u)
			r.Out.Host = r.In.Host
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	web := httptest.NewServer(p)
	tb.Cleanup(func() {
		web.CloseClientConnections()
		web.Close()
	})
	return siotest.Dialer{URL: web.URL + "/socket.io/"}
}
