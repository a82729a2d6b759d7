package main

import (
	"net"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/examples/apptest"
	"github.com/sioplug/sioplug/examples/chat"
	"github.com/sioplug/sioplug/examples/signin"
)

func TestApp(t *testing.T) {
	apptest.Run(t, apptest.Example{Serve: serve})
}

func serve(t *testing.T, srv *sio.Server, room *chat.Chat, s *signin.Sessions) string {
	t.Helper()
	web := newApp(srv, room, s, false, nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- web.Listener(listener) }()
	t.Cleanup(func() {
		if err := web.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return "http://" + listener.Addr().String()
}
