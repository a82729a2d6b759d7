package sio_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// fetch makes a request and returns "status body", and the header of the answer.
func fetch(tb testing.TB, d siotest.Dialer, method, target string, h http.Header) (string, http.Header) {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), method, target, nil)
	must(tb, err)
	if h != nil {
		r.Header = h
	}
	res, err := d.HTTP(tb).Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	must(tb, err)
	return strings.TrimSpace(fmt.Sprint(res.StatusCode, " ", string(body))), res.Header
}

// What clients see of the errors of Options.AllowRequest.
func TestAllowRequest(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"EIO-VF-8 Error", &sio.Error{Message: "not you", Err: errors.New(secret)}, `403 {"code":4,"message":"not you"}`},
		{"EIO-VF-8 wrapped", fmt.Errorf("x: %w", &sio.Error{Message: "no"}), `403 {"code":4,"message":"no"}`},
		{"EIO-VF-8 HTTPError", &sio.HTTPError{Status: 429, Message: "later"}, `429 {"code":4,"message":"later"}`},
		{"EIO-VF-8 any other", errors.New("database down"), `403 {"code":4,"message":"Forbidden"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := new(logbook)
			_, d := loopback(t, &sio.Options{
				Logger:       slog.New(l),
				AllowRequest: func(*sio.Request) error { return c.err },
			})
			got, _ := fetch(t, d, http.MethodGet, d.Endpoint("EIO", "4", "transport", "polling"), nil)
			if got != c.want {
				t.Errorf("answer %s, want %s", got, c.want)
			}
			if got := l.above(); len(got) != 0 { // clients can cause it at will
				t.Errorf("logged %q", got)
			}
		})
	}
}

// A page of another origin is refused, in a way that tells how to let it in.
func TestForeignOrigin(t *testing.T) {
	const page = "https://app.example.com"
	l := new(logbook)
	_, d := loopback(t, &sio.Options{Logger: slog.New(l)})
	h := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Origin": {page},
	}
	for range 3 {
		got, _ := fetch(t, d, http.MethodGet, d.Endpoint("EIO", "4", "transport", "websocket"), h)
		if got != "403 Forbidden" {
			t.Errorf("answer: %s", got)
		}
	}
	if got := l.above(); len(got) != 1 || !strings.HasPrefix(got[0], "WARN") ||
		!strings.Contains(got[0], "Options.CORS") || !strings.Contains(got[0], page) {
		t.Errorf("logged %q, want one warning that names the option and the origin", got)
	}

	_, d = loopback(t, &sio.Options{CORS: &sio.CORS{Origins: []string{page}}})
	d.Header = http.Header{"Origin": {page}}
	d.WebSocket(t).Connect("/", "")
	d.Header = nil
	d.WebSocket(t).Connect("/", "") // no browser
}

// Its browser does not show it the answer to a poll. The log says so, once.
func TestForeignOriginThatPolls(t *testing.T) {
	const page = "https://app.example.com"
	poll := func(t *testing.T, d siotest.Dialer, method, origin string) {
		t.Helper()
		fetch(t, d, method, d.Endpoint("EIO", "4", "transport", "polling"), http.Header{"Origin": {origin}})
	}
	for name, opts := range map[string]sio.Options{
		"without CORS": {},
		"not listed":   {CORS: &sio.CORS{Origins: []string{"https://other.example.com"}}},
	} {
		for _, method := range []string{http.MethodGet, http.MethodOptions} {
			t.Run(name+" "+method, func(t *testing.T) {
				l := new(logbook)
				opts.Logger = slog.New(l)
				_, d := loopback(t, &opts)
				for range 3 {
					poll(t, d, method, page)
				}
				if got := l.above(); len(got) != 1 || !strings.HasPrefix(got[0], "WARN") ||
					!strings.Contains(got[0], "Options.CORS") || !strings.Contains(got[0], page) {
					t.Errorf("logged %q, want one warning that names the option and the origin", got)
				}
			})
		}
	}
	_, d := loopback(t, &sio.Options{CORS: &sio.CORS{Origins: []string{page}}}) // whose log is quiet
	poll(t, d, http.MethodGet, page)
	poll(t, d, http.MethodGet, strings.TrimSuffix(d.URL, "/socket.io/"))
	d.Polling(t).Connect("/", "") // no browser
}

func TestCORSOfClientFiles(t *testing.T) {
	_, d := loopback(t, &sio.Options{
		CORS:     &sio.CORS{InsecureAllowAllOrigins: true},
		ClientFS: fstest.MapFS{"socket.io.js": {Data: []byte("the client")}},
	})
	got, h := fetch(t, d, http.MethodGet, d.URL+"socket.io.js", nil)
	if got != "200 the client" || h.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("SIO-FS-5: %s, %v", got, h)
	}
	got, h = fetch(t, d, http.MethodOptions, d.URL+"socket.io.js", nil)
	if got != "204" || h.Get("Access-Control-Allow-Methods") == "" {
		t.Errorf("EIO-MT-3: %s, %v", got, h)
	}
}

// Everything about HTTP that Options hands on to the engine.
func TestRequestOptions(t *testing.T) {
	refused := make(chan sio.ConnectionError, 10)
	_, d := loopback(t, &sio.Options{
		Cookie:        &sio.Cookie{Name: "lb"},
		GenerateID:    func(r *sio.Request) (string, error) { return "id" + r.Query.Get("n"), nil },
		InitialPacket: "2[\"early\"]",
		UseRequest: []func(http.Header, *sio.Request) error{func(h http.Header, r *sio.Request) error {
			h.Set("X-Path", r.Path)
			if r.Query.Has("teapot") {
				return &sio.HTTPError{Status: http.StatusTeapot}
			}
			return nil
		}},
		OnConnectionError:        func(err sio.ConnectionError) { refused <- err },
		OnInitialHeaders:         func(h http.Header, _ *sio.Request) { h.Set("X-Initial", "yes") },
		OnHeaders:                func(h http.Header, _ *sio.Request) { h.Set("X-Any", "yes") },
		HTTPCompressionThreshold: 1,
	})
	got, h := fetch(t, d, http.MethodGet, d.Endpoint("EIO", "4", "transport", "polling", "n", "1"), nil)
	if !strings.Contains(got, `"sid":"id1"`) || !strings.HasSuffix(got, "\x1e42[\"early\"]") {
		t.Errorf("EIO-HS-5, EIO-HS-7: %s", got)
	}
	for k, want := range map[string]string{
		"Set-Cookie": "lb=id1; Path=/; HttpOnly; SameSite=Lax", "X-Path": "/socket.io/", "X-Initial": "yes", "X-Any": "yes",
	} {
		if got := h.Get(k); got != want {
			t.Errorf("%s: %q, want %q", k, got, want)
		}
	}
	_, h = fetch(t, d, http.MethodGet, d.Endpoint("EIO", "4", "transport", "polling", "n", "2"), http.Header{"Accept-Encoding": {"gzip"}})
	if h.Get("Content-Encoding") != "gzip" {
		t.Errorf("EIO-HC-1: %v", h)
	}
	if got, _ := fetch(t, d, http.MethodGet, d.Endpoint("teapot", ""), nil); got != "418 I'm a teapot" {
		t.Errorf("EIO-MW-2, SIO-MW-8: %s", got)
	}
	fetch(t, d, http.MethodGet, d.URL, nil)
	if err := await(t, "the refusal", refused); err.Code != 0 || len(refused) > 0 {
		t.Errorf("EIO-ER-6: %v", err)
	}
}

func TestRequestOptionsMistakes(t *testing.T) {
	for name, opts := range map[string]sio.Options{
		"CORS.Origins":             {CORS: &sio.CORS{Origins: []string{"*"}}},
		"Cookie.Name":              {Cookie: &sio.Cookie{Name: "a b"}},
		"InitialPacket":            {InitialPacket: 7},
		"UseRequest":               {UseRequest: []func(http.Header, *sio.Request) error{nil}},
		"HTTPCompressionLevel":     {HTTPCompressionLevel: 10},
		"HTTPCompressionThreshold": {HTTPCompressionThreshold: -1},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if v := fmt.Sprint(recover()); !strings.HasPrefix(v, "sio: Options."+name) {
					t.Errorf("panic %s", v)
				}
			}()
			sio.New(&opts)
		})
	}
}

// EIO-RT-3: what ServeMux does without the slash at the end of the path.
func TestTrailingSlash(t *testing.T) {
	srv := newServer(t, nil)
	t.Cleanup(func() { shutdown(t, srv) })
	for _, c := range []struct {
		name     string
		patterns []string
		path     string
		want     int // redirects are not followed
	}{
		{"EIO-RT-1", []string{"/socket.io/"}, "/socket.io/", http.StatusOK},
		{"EIO-RT-2 below it", []string{"/socket.io/"}, "/socket.io/foo/bar/", http.StatusOK},
		{"EIO-RT-3 better: redirected", []string{"/socket.io/"}, "/socket.io", http.StatusTemporaryRedirect},
		{"EIO-RT-4 without", []string{"/socket.io/", "/socket.io"}, "/socket.io", http.StatusOK},
		{"EIO-RT-4 better: not a prefix", []string{"/socket.io/", "/socket.io"}, "/socket.iofoo", http.StatusNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			mux := http.NewServeMux()
			for _, p := range c.patterns {
				mux.Handle(p, srv)
			}
			d := siotest.Loopback(t, mux)
			client := d.HTTP(t)
			client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			target := strings.Replace(d.Endpoint("EIO", "4", "transport", "polling"), "/socket.io/", c.path, 1)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
			must(t, err)
			res, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != c.want {
				t.Errorf("status %d, want %d", res.StatusCode, c.want)
			}
		})
	}
}

func TestAddressIsThatOfTheHandshake(t *testing.T) {
	for _, address := range []string{"192.0.2.1:80", "[2001:db8::1]:80", "[fe80::1%eth0]:80"} {
		srv := newServer(t, nil)
		d := siotest.Loopback(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.RemoteAddr = address
			srv.ServeHTTP(w, r)
		}))
		t.Cleanup(func() { shutdown(t, srv) })
		d.Header = http.Header{"X-First": {"a"}, "X-Second": {"b"}}
		srv.On("where", func(c *sio.Ctx) error { return c.Ack(c.Address(), c.Handshake().Address) })
		var got, want string
		d.Connect(t, "/", nil).Ask("where").Bind(&got, &want)
		if got != want || got == "" {
			t.Errorf("%s: Address is %q, in the handshake it is %q", address, got, want)
		}
	}
}

func TestTransportIsTheOneOfTheMoment(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("how", func(c *sio.Ctx) error { return c.Ack(c.Transport()) })
		c := d.Polling(t)
		c.Connect("/", "")
		c.Send(`421["how"]`)
		c.Want(`431["polling"]`)
		c.Upgrade()
		c.Send(`422["how"]`)
		c.Want(`432["websocket"]`)
	})
}
