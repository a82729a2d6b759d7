package sio_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// mustPanic fails unless f panics with a text that names what to change.
func mustPanic(t *testing.T, f func(), words ...string) {
	t.Helper()
	defer func() {
		got := fmt.Sprint(recover())
		for _, w := range append(words, "sio: ") {
			if !strings.Contains(got, w) {
				t.Errorf("panic %q does not have %q", got, w)
			}
		}
	}()
	f()
}

func TestWrongRegistrationPanicsAndSaysWhatToChange(t *testing.T) {
	h := func(*sio.Ctx) error { return nil }
	for name, instead := range map[string]string{
		"connection": "use OnConnect", "connect": "use OnConnect",
		"disconnect": "use OnDisconnect", "disconnecting": "use OnDisconnect",
		"new_namespace": "use Server.OnNewNamespace", "connect_error": "UseConnect",
		"newListener": "use another name", "removeListener": "use another name",
	} {
		mustPanic(t, func() { newServer(t, nil).On(name, h) }, `On("`+name+`")`, instead)
	}
	for name, tt := range map[string]struct {
		f     func(srv *sio.Server)
		words []string
	}{
		"twice": {func(srv *sio.Server) {
			srv.Of("/chat").On("post", h)
			srv.Of("/chat").On("post", h)
		}, []string{`On("post")`, "/chat", "already"}},
		"unknown twice":     {func(srv *sio.Server) { srv.OnUnknown(h); srv.OnUnknown(h) }, []string{"OnUnknown", "already"}},
		"nil handler":       {func(srv *sio.Server) { srv.On("post", nil) }, []string{`On("post")`, "nil handler"}},
		"nil unknown":       {func(srv *sio.Server) { srv.OnUnknown(nil) }, []string{"OnUnknown", "nil handler"}},
		"nil OnConnect":     {func(srv *sio.Server) { srv.OnConnect(nil) }, []string{"OnConnect", "nil handler"}},
		"nil OnDisconnect":  {func(srv *sio.Server) { srv.OnDisconnect(nil) }, []string{"OnDisconnect", "nil"}},
		"nil middleware":    {func(srv *sio.Server) { srv.On("post", h, nil) }, []string{`On("post")`, "nil middleware"}},
		"nil for all":       {func(srv *sio.Server) { srv.UseEvents(nil) }, []string{"UseEvents", "nil middleware"}},
		"nil for a connect": {func(srv *sio.Server) { srv.UseConnect(nil) }, []string{"UseConnect", "nil middleware"}},
		"nil guard":         {func(srv *sio.Server) { srv.UseEvents(sio.Guard(nil)) }, []string{"Guard", "nil function"}},
		"nil behind Bind":   {func(srv *sio.Server) { srv.On("post", sio.Bind[int](nil)) }, []string{"Bind", "nil function"}},
		"nil behind Reply":  {func(srv *sio.Server) { srv.On("post", sio.Reply[int, int](nil)) }, []string{"Reply", "nil function"}},
		"no next": {func(srv *sio.Server) {
			srv.On("post", h, func(sio.Handler) sio.Handler { return nil })
		}, []string{"middleware", "nil handler", "return next"}},
		"no next for all": {func(srv *sio.Server) {
			srv.UseEvents(func(sio.Handler) sio.Handler { return nil })
		}, []string{"middleware", "nil handler", "return next"}},
		"nil OnAny":          {func(srv *sio.Server) { srv.OnAny(nil) }, []string{"OnAny", "nil function"}},
		"nil OnAnyOutgoing":  {func(srv *sio.Server) { srv.OnAnyOutgoing(nil) }, []string{"OnAnyOutgoing", "nil function"}},
		"nil OnRoom":         {func(srv *sio.Server) { srv.OnRoom(nil) }, []string{"OnRoom", "nil function"}},
		"nil OnNewNamespace": {func(srv *sio.Server) { srv.OnNewNamespace(nil) }, []string{"OnNewNamespace", "nil function"}},
		"nil OnNamespaceEnd": {func(srv *sio.Server) { srv.OnNamespaceEnd(nil) }, []string{"OnNamespaceEnd", "nil function"}},
		"nil OfFunc":         {func(srv *sio.Server) { srv.OfFunc(nil) }, []string{"OfFunc", "nil function"}},
		"nil OfRegexp":       {func(srv *sio.Server) { srv.OfRegexp(nil) }, []string{"OfRegexp", "nil pattern"}},
		"nil OnServerEvent":  {func(srv *sio.Server) { srv.OnServerEvent("e", nil) }, []string{`OnServerEvent("e")`, "nil handler"}},
		"OnServerEvent twice": {func(srv *sio.Server) {
			srv.OnServerEvent("e", answerNothing)
			srv.OnServerEvent("e", answerNothing)
		}, []string{`OnServerEvent("e")`, "already", "in one handler"}},
		"OnServerEvent reserved": {func(srv *sio.Server) {
			srv.OnServerEvent("connection", answerNothing)
		}, []string{`OnServerEvent("connection")`, "reserved", "another one"}},
		"channel as argument": {func(srv *sio.Server) {
			srv.On("post", sio.Bind(func(*sio.Ctx, chan int) error { return nil }))
		}, []string{"Bind", "chan int", "encoding/json"}},
		"function as answer": {func(srv *sio.Server) {
			srv.On("post", sio.Reply(func(*sio.Ctx, int) (func(), error) { return nil, nil }))
		}, []string{"Reply", "func()", "encoding/json"}},
		"optional channel": {func(srv *sio.Server) {
			srv.On("post", sio.Bind(func(*sio.Ctx, sio.Optional[chan int]) error { return nil }))
		}, []string{"Bind", "chan int", "encoding/json"}},
		"optional interface": {func(srv *sio.Server) {
			srv.On("post", sio.Reply(func(*sio.Ctx, sio.Optional[fmt.Stringer]) (int, error) { return 0, nil }))
		}, []string{"Reply", "fmt.Stringer", "or any"}},
		"optional answer": {func(srv *sio.Server) {
			srv.On("post", sio.Reply(func(*sio.Ctx, int) (sio.Optional[int], error) { return sio.Optional[int]{}, nil }))
		}, []string{"Reply", "Optional", "pointer"}},
		"interface as argument": {func(srv *sio.Server) {
			srv.On("post", sio.Bind(func(*sio.Ctx, fmt.Stringer) error { return nil }))
		}, []string{"Bind", "fmt.Stringer", "or any"}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := newServer(t, nil)
			mustPanic(t, func() { tt.f(srv) }, tt.words...)
			srv.On("after", h) // no lock is left behind
		})
	}
}

func answerNothing(context.Context, sio.Args) (any, error) { return nil, nil }

func TestDataKeysAreForWhatHasJSON(t *testing.T) {
	mustPanic(t, func() { sio.NewDataKey[chan int]("channel") }, `NewDataKey("channel")`, "chan int", "use NewKey")
	mustPanic(t, func() { sio.NewDataKey[struct{ F func() }]("deep") }, `NewDataKey("deep")`, "func()", "use NewKey")
	sio.NewDataKey[any]("any")
	sio.NewDataKey[*struct{ Text string }]("pointer")
	sio.NewKey[chan int]("channel")
}

func TestOneNameInTwoNamespaces(t *testing.T) {
	srv := newServer(t, nil)
	srv.On("post", func(*sio.Ctx) error { return nil })
	srv.Of("/chat").On("post", func(*sio.Ctx) error { return nil })
}

func TestRegisteringWhileClientsAreConnected(t *testing.T) {
	srv, d := loopback(t, nil)
	echo(srv.Namespace)
	var registering sync.WaitGroup
	registering.Go(func() {
		for i := range 200 {
			srv.On(fmt.Sprint("event ", i), sio.Reply(func(*sio.Ctx, struct{}) (int, error) { return i, nil }))
			srv.UseEvents(func(next sio.Handler) sio.Handler { return next })
			srv.UseConnect(func(next sio.Handler) sio.Handler { return next })
			srv.OnConnect(func(*sio.Ctx) error { return nil })
			srv.OnDisconnect(func(*sio.Socket, sio.Reason) {})
			srv.Of(fmt.Sprint("/", i))
		}
	})
	for range 3 {
		c := d.WebSocket(t)
		c.Connect("/", "")
		for range 100 {
			mustEcho(t, c)
		}
	}
	registering.Wait()
	c := d.WebSocket(t)
	c.Connect("/", "")
	c.Send(`421["event 199"]`)
	c.Want("431[199]")
	c.Connect("/199", "")
}

func TestOptionsThatMakeNoSensePanic(t *testing.T) {
	for name, o := range map[string]sio.Options{
		"PingInterval":       {PingInterval: -1},
		"PingTimeout":        {PingTimeout: -time.Second},
		"UpgradeTimeout":     {UpgradeTimeout: -1},
		"ConnectTimeout":     {ConnectTimeout: -1},
		"MaxHTTPBufferSize":  {MaxHTTPBufferSize: -1},
		"MaxAttachments":     {MaxAttachments: -1},
		"MaxSendBuffer":      {MaxSendBuffer: -1},
		"MaxSendAttachments": {MaxSendAttachments: -1},
		"MaxHandshakeBytes":  {MaxHandshakeBytes: -1},
		"MaxPendingEvents":   {MaxPendingEvents: -1},
		"MaxPendingBytes":    {MaxPendingBytes: -1},
		"MaxNamespaces":      {MaxNamespaces: -1},
		"Transports":         {Transports: []string{"polling", "pigeon"}},
	} {
		mustPanic(t, func() { sio.New(&o) }, "Options."+name)
	}
	sio.New(nil)
	sio.New(&sio.Options{})
}

// The documentation of Options names its defaults.
func TestDefaultsOfOptions(t *testing.T) {
	log := slog.New(new(logbook))
	want := sio.Options{
		PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second, UpgradeTimeout: 10 * time.Second,
		ConnectTimeout: 45 * time.Second, MaxHTTPBufferSize: 1_000_000, MaxAttachments: 10, MaxSendAttachments: 10,
		MaxSendBuffer:    16 << 20,
		MaxPendingEvents: 256, MaxPendingBytes: 1 << 20, MaxNamespaces: 100, Transports: []string{"polling", "websocket"},
		MaxHandshakeBytes:        16 << 10,
		HTTPCompressionThreshold: 1024, Logger: log,
	}
	if diff := cmp.Diff(want, sio.New(&sio.Options{Logger: log}).Options(), cmp.Comparer(func(a, b *slog.Logger) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if got := sio.New(nil).Options().Logger; got != slog.Default() {
		t.Errorf("logger %v", got)
	}
}

// What becomes of the options after New is of no interest to the server.
func TestOptionsAreCopied(t *testing.T) {
	o := &sio.Options{
		Transports: []string{"websocket"}, ClientFS: clientFiles(), MaxNamespaces: 1, Logger: slog.New(new(logbook)),
	}
	srv := sio.New(o)
	d := siotest.Loopback(t, srv)
	t.Cleanup(func() { shutdown(t, srv) })
	o.Transports[0] = "polling"
	*o = sio.Options{}
	if got := srv.Options(); !slices.Equal(got.Transports, []string{"websocket"}) || got.MaxNamespaces != 1 {
		t.Errorf("options %+v", got)
	}
	echo(srv.Namespace)
	c := d.WebSocket(t)
	c.Connect("/", "")
	mustEcho(t, c)
	c.Send("40/a,")
	c.Want(`44/a,{"message":"too many namespaces"}`)
	if res, body := get(t, d, "socket.io.js"); res.StatusCode != http.StatusOK {
		t.Errorf("a file of ClientFS: status %d, %s", res.StatusCode, body)
	}
}
