package sio_test

import (
	"bytes"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// An album has binary data wherever a Go value can have it.
type album struct {
	Cover  []byte            `json:"cover"`
	Pages  []page            `json:"pages"`
	ByName map[string][]byte `json:"byName"`
	Next   *album            `json:"next,omitempty"`
	Any    any               `json:"any"`
}

type page struct {
	Tiles [2][]byte `json:"tiles"`
}

func TestSIO_BIN_BinaryAtAnyDepthBothWays(t *testing.T) {
	const ph = `{"_placeholder":true,"num":`
	header := `["album",{"cover":` + ph + `0},"pages":[{"tiles":[` + ph + `1},` + ph + `2}]}],"byName":{"x":` + ph + `3}},` +
		`"next":{"cover":` + ph + `4},"pages":null,"byName":null,"any":null},"any":{"deep":[[` + ph + `5}]]}}]`
	packets := []string{"456-" + header, "bAAE=", "bAQ==", "bAg==", "bAw==", "bBA==", "bBQ=="}
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				srv.On("album", sio.Bind(func(c *sio.Ctx, a album) error {
					var deep []byte
					if m, ok := a.Any.(map[string]any); ok {
						if list, ok := m["deep"].([]any); ok {
							if inner, ok := list[0].([]any); ok {
								deep, _ = inner[0].([]byte)
							}
						}
					}
					for i, got := range [][]byte{
						a.Cover, a.Pages[0].Tiles[0], a.Pages[0].Tiles[1], a.ByName["x"], a.Next.Cover, deep,
					} {
						want := []byte{byte(i)}
						if i == 0 {
							want = []byte{0, 1}
						}
						if !bytes.Equal(got, want) {
							t.Errorf("attachment %d is %v, want %v", i, got, want)
						}
					}
					must(t, c.Emit("album", a))
					return c.Ack(a)
				}))
				c := open(t, d)
				c.Connect("/", "")
				c.Send("456-7"+header, packets[1], packets[2], packets[3], packets[4], packets[5], packets[6])
				c.Want(packets...)
				c.Want("466-7[" + header[len(`["album",`):])
				c.Want(packets[1:]...)
			})
		})
	}
}

func TestBinaryMessagesArriveWithTheirText(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		echo(srv.Namespace)
		srv.On("raw", sio.Bind(func(c *sio.Ctx, b []byte) error { return c.Ack(len(b), b) }))
		c := d.WebSocket(t)
		c.Connect("/", "")
		// One attachment at a time: the event is handled with the last one.
		c.Send(`452-["echo",[{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]]`) // SIO-BIN-6
		c.Send("bAQ==")
		c.Send("bAg==")
		c.Want(`452-["echo",[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]]`, "bAg==", "bAQ==")
		c.Send(`451-1["raw",{"_placeholder":true,"num":0}]`, "b") // an empty one
		c.Want(`461-1[0,{"_placeholder":true,"num":0}]`, "b")
		c.Send(`451-2["raw","plain",{"_placeholder":true,"num":0}]`, "bAQ==") // surplus
		c.Want(`432[{"error":{"message":"invalid payload"}}]`)
		c.Send(`421["raw",null]`)
		c.Want(`431[0,null]`)
	})
}
