package auth_test

import (
	"net/http"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/auth"
)

// Clients put their token where they are used to.
func TestWhereTokensAre(t *testing.T) {
	t.Parallel()
	good := token(t, nil)
	payload := func(token string) string { return `{"token":"` + token + `"}` }
	for _, tt := range []struct {
		name    string
		payload string
		header  http.Header
		opts    []auth.Option
		ok      bool
	}{
		{"bare in the payload", payload(good), nil, nil, true},
		{"with the word Bearer in the payload", payload("Bearer " + good), nil, nil, true},
		{"with the word bearer in the payload", payload("bearer " + good), nil, nil, true},
		{"with another word in the payload", payload("Token " + good), nil, nil, false},
		{"only the word in the payload", payload("Bearer "), nil, nil, false},
		{"Authorization", "", http.Header{"Authorization": {"Bearer " + good}}, nil, true},
		{"header, asked for", "", http.Header{"X-Token": {good}}, []auth.Option{auth.FromHeader("x-token", "")}, true},
		{"header, not asked for", "", http.Header{"X-Token": {good}}, nil, false},
		{"header with a scheme", "", http.Header{"Authorization": {"Token " + good}}, []auth.Option{auth.FromHeader("Authorization", "token")}, true},
		{"header with another scheme", "", http.Header{"Authorization": {"Basic " + good}}, []auth.Option{auth.FromHeader("Authorization", "Token")}, false},
		{"no header", "", nil, []auth.Option{auth.FromHeader("X-Token", "")}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				srv.UseConnect(auth.Require(hs256(), tt.opts...))
				d.Header = tt.header
				c := d.WebSocket(t)
				if tt.ok {
					c.Connect("/", tt.payload)
					return
				}
				c.Send("40" + tt.payload)
				if got := c.Next(); len(got) < 2 || got[:2] != "44" {
					t.Errorf("got %q", got)
				}
			})
		})
	}
}
