package sio_test

import (
	"io"
	"net/http"
	"net/url"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// EIO-RT-5, EIO-UP-17 and SIO-SV-3: what else a mux serves, another Socket.IO server
// included, is not disturbed, not even while a client upgrades.
func TestServersBesideEachOther(t *testing.T) {
	t.Parallel()
	t.Run("EIO-RT-5, EIO-UP-17, SIO-SV-3 two servers and a route on one mux", func(t *testing.T) {
		t.Parallel()
		first, second := newServer(t, nil), newServer(t, nil)
		for name, srv := range map[string]*sio.Server{"first": first, "second": second} {
			srv.On("who", sio.Reply(func(*sio.Ctx, struct{}) (string, error) { return name, nil }))
			t.Cleanup(func() { shutdown(t, srv) })
		}
		mux := http.NewServeMux()
		mux.Handle("/socket.io/", first)
		mux.Handle("/foo/", second)
		mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
		d := siotest.Loopback(t, mux)
		u, err := url.Parse(d.URL)
		if err != nil {
			t.Fatal(err)
		}
		base := "http://" + u.Host

		for path, want := range map[string]string{"/socket.io/": "first", "/foo/": "second"} {
			d.URL = base + path
			c := d.Polling(t)
			c.Connect("/", "")
			c.Upgrade()
			c.Send(`421["who"]`)
			c.Want(`431["` + want + `"]`)
		}
		res, err := d.HTTP(t).Get(base + "/hello")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if body, err := io.ReadAll(res.Body); string(body) != "hello" || err != nil {
			t.Errorf("the other route: %q, %v", body, err)
		}
	})
}
