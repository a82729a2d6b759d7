package sio_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// SIO-ENC-1 to 5 on the wire: section 1.3 of the reference, both ways. What is
// sent comes back.
func TestSIO_ENC_1_ENC_2_ENC_3_ENC_4_ENC_5_Examples(t *testing.T) {
	const ph0, ph1 = `{"_placeholder":true,"num":0}`, `{"_placeholder":true,"num":1}`
	for _, packets := range [][]string{
		{`42["hello",1,{"a":[true]}]`},
		{`42/admin,["hello"]`},
		{`451-["hello",` + ph0 + `]`, "bAQID"},
		{`451-/admin,["hello",` + ph0 + `]`, "bAQID"},
		{`452-["m",` + ph0 + `,` + ph1 + `]`, "bAQ==", "bAg=="},
		{`451-["m",{"a":[` + ph0 + `]},"b"]`, "b"},
	} {
		t.Run(packets[0], func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				for _, name := range []string{"/", "/admin"} {
					ns := srv.Of(name)
					ns.OnUnknown(func(c *sio.Ctx) error {
						return repeat(c, func(args ...any) error { return c.Emit(c.Event(), args...) })
					})
				}
				c := d.WebSocket(t)
				c.Connect("/", "")
				c.Connect("/admin", "")
				c.Send(packets...)
				c.Want(packets...)
			})
		})
	}
}

func TestSIO_ENC_1_ENC_2_ENC_3_ExamplesOfAcks(t *testing.T) {
	const ph0 = `{"_placeholder":true,"num":0}`
	for _, tt := range []struct{ sent, want []string }{
		{[]string{`42456["project:delete"]`}, []string{`43456[]`}},
		{[]string{`42/admin,456["project:delete","ok"]`}, []string{`43/admin,456["ok"]`}},
		{[]string{`420["zero",1]`}, []string{`430[1]`}},
		{[]string{`451-/admin,456["project:delete",` + ph0 + `]`, "bAQID"}, []string{`461-/admin,456[` + ph0 + `]`, "bAQID"}},
	} {
		t.Run(tt.sent[0], func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				for _, name := range []string{"/", "/admin"} {
					srv.Of(name).OnUnknown(func(c *sio.Ctx) error { return repeat(c, c.Ack) })
				}
				c := d.WebSocket(t)
				c.Connect("/", "")
				c.Connect("/admin", "")
				c.Send(tt.sent...)
				c.Want(tt.want...)
			})
		})
	}
}

// repeat calls send with all arguments of c.
func repeat(c *sio.Ctx, send func(args ...any) error) error {
	args, dst := make([]any, c.Len()), make([]any, c.Len())
	for i := range args {
		dst[i] = &args[i]
	}
	if err := c.Bind(dst...); err != nil {
		return err
	}
	return send(args...)
}

// The name and the shape of a packet are wrong before its attachments have come,
// and nobody has to wait for them.
func TestSIO_BIN_8_HeadersAreCheckedBeforeTheirAttachments(t *testing.T) {
	for _, header := range []string{
		`451-["disconnect",{"_placeholder":true,"num":0}]`, `451-{}`, `451-[null]`, `461-1{}`, `461-["no id"`,
	} {
		t.Run(header, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				why := reasons(srv.Namespace)
				c := d.WebSocket(t)
				c.Connect("/", "")
				c.Send(header)
				mustReason(t, why, sio.ReasonForcedClose)
				c.Abort()
			})
		})
	}
}

func TestSIO_BIN_7_ENC_10_MaxAttachmentsIsAnOption(t *testing.T) {
	for name, tt := range map[string]struct {
		opts  *sio.Options
		limit int
	}{
		"default": {nil, 10},
		"option":  {&sio.Options{MaxAttachments: 3}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, tt.opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				why := reasons(srv.Namespace)
				srv.OnUnknown(func(c *sio.Ctx) error { return c.Ack() })
				c := d.WebSocket(t)
				c.Connect("/", "")
				c.Send(append([]string{withPlaceholders(1, tt.limit)}, slices.Repeat([]string{"bAQ=="}, tt.limit)...)...)
				c.Want("431[]")
				c.Send(withPlaceholders(1, tt.limit+1))
				mustReason(t, why, sio.ReasonForcedClose)
				c.Abort()
			})
		})
	}
}

// withPlaceholders returns the text of an event with n attachments.
func withPlaceholders(id, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `45%d-%d["e"`, n, id)
	for i := range n {
		fmt.Fprintf(&b, `,{"_placeholder":true,"num":%d}`, i)
	}
	return b.String() + "]"
}

// All attachments of a packet together may have as many bytes as a message.
func TestAttachmentsTogetherAreBounded(t *testing.T) {
	const limit = 1000
	bubble(t, &sio.Options{MaxHTTPBufferSize: limit}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		why := reasons(srv.Namespace)
		srv.OnUnknown(func(c *sio.Ctx) error { return c.Ack() })
		c := d.WebSocket(t)
		c.Connect("/", "")
		half := "b" + strings.Repeat("AAAA", limit/2/3) // 498 bytes
		c.Send(withPlaceholders(1, 2), half, half)
		c.Want("431[]")
		c.Send(withPlaceholders(1, 3), half, half, half)
		mustReason(t, why, sio.ReasonForcedClose)
		c.Abort()
		synctest.Wait()
	})
}
