// Package exampletest has what the examples of the integrations need beside
// what they show: a client, and requests that leave no connection behind.
package exampletest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// Do sends a request and returns the status and the body of the answer. What
// goes wrong is in the place of both, where the example's output shows it.
func Do(method, url, body string) string {
	r, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	r.Close = true
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(fmt.Sprint(res.StatusCode, " ", string(text)))
}

// A Client polls.
type Client struct{ url string }

// Connect connects a client to the root namespace of a server that is mounted
// at the URL.
func Connect(url string) *Client {
	url += "?EIO=4&transport=polling"
	_, open, _ := strings.Cut(Do(http.MethodGet, url, ""), `"sid":"`)
	sid, _, _ := strings.Cut(open, `"`)
	c := &Client{url + "&sid=" + sid}
	c.Send("40")
	c.Next() // the answer
	return c
}

// Send sends a packet.
func (c *Client) Send(packet string) { Do(http.MethodPost, c.url, packet) }

// Next waits for what the server has to say, and returns the packets without
// their types.
func (c *Client) Next() string {
	got := Do(http.MethodGet, c.url, "")
	return strings.ReplaceAll(strings.TrimLeft(strings.TrimPrefix(got, "200 "), "0123456789"), "\x1e", " ")
}

// Listen returns a listener on a port of this machine.
func Listen() net.Listener {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic(err) //nolint:forbidigo // an example has nobody to tell
	}
	return l
}
