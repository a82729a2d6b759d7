package sio_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// badFS is a file system that fails.
type badFS struct{ *bomb }

func (f badFS) Open(string) (fs.File, error) { f.call(); return nil, fs.ErrNotExist }

func requestPlaces() map[string]func(o *sio.Options, b *bomb) {
	return map[string]func(o *sio.Options, b *bomb){
		"UseRequest": func(o *sio.Options, b *bomb) {
			o.UseRequest = []func(http.Header, *sio.Request) error{func(http.Header, *sio.Request) error { b.call(); return nil }}
		},
		"AllowRequest": func(o *sio.Options, b *bomb) { o.AllowRequest = func(*sio.Request) error { b.call(); return nil } },
		"AllowRequest's error": func(o *sio.Options, b *bomb) {
			o.AllowRequest = func(*sio.Request) error {
				if b.armed.Load() {
					return badError{b}
				}
				return nil
			}
		},
		"GenerateID": func(o *sio.Options, b *bomb) {
			var n atomic.Int32
			o.GenerateID = func(*sio.Request) (string, error) { b.call(); return fmt.Sprint("id", n.Add(1)), nil }
		},
		"OnHeaders":        func(o *sio.Options, b *bomb) { o.OnHeaders = func(http.Header, *sio.Request) { b.call() } },
		"OnInitialHeaders": func(o *sio.Options, b *bomb) { o.OnInitialHeaders = func(http.Header, *sio.Request) { b.call() } },
		"OnConnectionError": func(o *sio.Options, b *bomb) {
			o.AllowRequest = func(*sio.Request) error {
				if b.armed.Load() {
					return errors.New("no")
				}
				return nil
			}
			o.OnConnectionError = func(sio.ConnectionError) { b.call() }
		},
		"AllowOrigin": func(o *sio.Options, b *bomb) {
			o.CORS = &sio.CORS{AllowOrigin: func(*sio.Request, string) (bool, error) { b.call(); return true, nil }}
		},
		"Cookie.Encode": func(o *sio.Options, b *bomb) {
			o.Cookie = &sio.Cookie{Encode: func(id string) string { b.call(); return id }}
		},
		"ClientFS": func(o *sio.Options, b *bomb) { o.ClientFS = badFS{b} },
		"Logger": func(o *sio.Options, b *bomb) {
			o.Logger = slog.New(badLog{b, b})
			o.AllowRequest = func(*sio.Request) error {
				if b.armed.Load() {
					return errors.New("no")
				}
				return nil
			}
		},
	}
}

// TestRequestsSurviveTheApplication: whatever fails while a request is served, it is
// answered, and nothing is left of it.
func TestRequestsSurviveTheApplication(t *testing.T) {
	for name, set := range requestPlaces() {
		for way, fail := range ways() {
			t.Run(name+"/"+way, func(t *testing.T) {
				b := &bomb{fail: fail}
				opts := &sio.Options{Logger: slog.New(new(logbook))}
				set(opts, b)
				bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
					echo(srv.Namespace)
					b.armed.Store(true)
					for _, target := range []string{d.Endpoint("EIO", "4", "transport", "polling"), d.URL + "socket.io.js"} {
						r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
						must(t, err)
						r.Header.Set("Origin", "http://other.example")
						res, err := d.HTTP(t).Do(r)
						if err != nil {
							t.Fatalf("not answered: %v", err)
						}
						_ = res.Body.Close()
					}
					synctest.Wait()
					if b.times.Load() == 0 {
						t.Error("nothing has failed")
					}
					b.armed.Store(false)
					for _, open := range transports() {
						c := open(t, d)
						c.Connect("/", "")
						mustEcho(t, c)
					}
				})
			})
		}
	}
}
