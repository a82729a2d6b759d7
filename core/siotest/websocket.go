package siotest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

// A webSocket is the carrier of that name. It reads only when it is asked for a
// packet, so its peer sees a client that is as slow as the test.
type webSocket struct {
	dialer Dialer
	conn   net.Conn
	r      *bufio.Reader

	mu sync.Mutex // held while writing
}

// dialWebSocket opens a WebSocket for a new session, or to upgrade the one with
// that sid. The packets go out in one write with the request.
func dialWebSocket(d Dialer, sid string, packets []string) (*webSocket, error) {
	params := []string{"EIO", "4", "transport", "websocket"}
	if sid != "" {
		params = append(params, "sid", sid)
	}
	u, err := url.Parse(d.Endpoint(params...))
	if err != nil {
		return nil, err
	}
	conn, err := d.connect(context.Background(), u)
	if err != nil {
		return nil, err
	}
	w := &webSocket{dialer: d, conn: conn, r: bufio.NewReader(conn)}
	if err := w.handshake(u, packets); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return w, nil
}

func (w *webSocket) handshake(u *url.URL, packets []string) error {
	r := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{}}
	for k, vs := range w.dialer.Header {
		r.Header[http.CanonicalHeaderKey(k)] = vs
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-Websocket-Version", "13")
	r.Header.Set("Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ==") // RFC 6455 section 1.3
	var buf bytes.Buffer
	if err := errors.Join(r.Write(&buf), appendMessages(&buf, packets)); err != nil {
		return err
	}
	if err := w.conn.SetDeadline(w.dialer.deadline()); err != nil {
		return err
	}
	if _, err := w.conn.Write(buf.Bytes()); err != nil {
		return err
	}
	res, err := http.ReadResponse(w.r, r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(res.Body)
		return fmt.Errorf("status %s: %s", res.Status, body)
	}
	if got := res.Header.Get("Sec-Websocket-Accept"); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		return fmt.Errorf("Sec-WebSocket-Accept is %q", got)
	}
	return nil
}

// appendMessages writes packets as masked frames.
func appendMessages(buf *bytes.Buffer, packets []string) error {
	for _, p := range packets {
		f := ws.NewTextFrame([]byte(p))
		if data, ok := strings.CutPrefix(p, "b"); ok {
			raw, err := base64.StdEncoding.DecodeString(data)
			if err != nil {
				return err
			}
			f = ws.NewBinaryFrame(raw)
		}
		if err := ws.WriteFrame(buf, ws.MaskFrameInPlace(f)); err != nil {
			return err
		}
	}
	return nil
}

func (w *webSocket) send(packets []string) error {
	var buf bytes.Buffer
	if err := appendMessages(&buf, packets); err != nil {
		return err
	}
	return w.write(buf.Bytes())
}

func (w *webSocket) write(p []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.conn.SetWriteDeadline(w.dialer.deadline()); err != nil {
		return err
	}
	_, err := w.conn.Write(p)
	return err
}

func (w *webSocket) receive(deadline time.Time) ([]string, error) {
	for {
		if err := w.conn.SetReadDeadline(deadline); err != nil {
			return nil, errEnded // it was closed
		}
		f, err := ws.ReadFrame(w.r)
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			return nil, err
		case err != nil:
			return nil, errEnded // how a connection ends is a matter of luck
		case !f.Header.Fin || f.Header.Masked:
			return nil, fmt.Errorf("frame that servers here do not send: %+v", f.Header)
		}
		switch f.Header.OpCode {
		case ws.OpText:
			return []string{string(f.Payload)}, nil
		case ws.OpBinary:
			return []string{"b" + base64.StdEncoding.EncodeToString(f.Payload)}, nil
		case ws.OpClose:
			return nil, errEnded
		case ws.OpPing:
			pong, err := ws.CompileFrame(ws.MaskFrameInPlace(ws.NewPongFrame(f.Payload)))
			if err != nil {
				return nil, err
			}
			if err := w.write(pong); err != nil {
				return nil, err
			}
		default: // OpPong
		}
	}
}

func (w *webSocket) abort() { _ = w.conn.Close() }
