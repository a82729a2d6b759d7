package main

import (
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/examples/apptest"
	"github.com/sioplug/sioplug/examples/chat"
	"github.com/sioplug/sioplug/examples/signin"
)

func TestApp(t *testing.T) {
	gin.SetMode(gin.TestMode)
	apptest.Run(t, apptest.Example{Serve: serve})
}

func serve(t *testing.T, srv *sio.Server, room *chat.Chat, s *signin.Sessions) string {
	t.Helper()
	web := httptest.NewServer(newRouter(srv, room, s, false, nil))
	t.Cleanup(web.Close)
	return web.URL
}
