package siotest

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// separator stands between the packets of a payload.
const separator = "\x1e"

// polling is the transport of that name. It polls only in receive.
type polling struct {
	dialer   Dialer
	client   *http.Client
	sid      string
	ctx      context.Context //nolint:containedctx // of all its requests: abort ends it
	cancel   context.CancelFunc
	openConn net.Conn // the connection of a poll whose answer is not read

	sending sync.Mutex
}

func newPolling(tb testing.TB, d Dialer) *polling {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	tb.Cleanup(cancel)
	return &polling{dialer: d, client: d.HTTP(tb), ctx: ctx, cancel: cancel}
}

func (p *polling) url() string {
	if p.sid == "" {
		return p.dialer.Endpoint("EIO", "4", "transport", "polling")
	}
	return p.dialer.Endpoint("EIO", "4", "transport", "polling", "sid", p.sid)
}

func (p *polling) send(packets []string) error {
	p.sending.Lock() // one POST at a time, says the protocol: pongs are sent while reading
	defer p.sending.Unlock()
	status, body, err := p.do(p.ctx, http.MethodPost, strings.Join(packets, separator))
	if err == nil && (status != http.StatusOK || body != "ok") {
		err = fmt.Errorf("status %d: %s", status, body)
	}
	return err
}

func (p *polling) receive(deadline time.Time) ([]string, error) {
	ctx, cancel := context.WithDeadline(p.ctx, deadline)
	defer cancel()
	status, body, err := p.do(ctx, http.MethodGet, "")
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusOK:
		return strings.Split(body, separator), nil
	case p.sid != "" && (status == http.StatusServiceUnavailable || strings.Contains(body, `"code":1`)):
		return nil, errEnded // the server drains, or the session is unknown, so it has ended before
	}
	return nil, fmt.Errorf("status %d: %s", status, body)
}

func (p *polling) do(ctx context.Context, method, body string) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, method, p.url(), strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	res, err := p.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, string(answer), err
}

// openPoll opens a poll on a connection of its own. It returns when the request has been
// written, which an http.Client would not report.
func (p *polling) openPoll() error {
	r, err := http.NewRequestWithContext(p.ctx, http.MethodGet, p.url(), http.NoBody)
	if err != nil {
		return err
	}
	maps.Copy(r.Header, p.dialer.Header)
	conn, err := p.dialer.connect(p.ctx, r.URL)
	if err != nil {
		return err
	}
	p.openConn = conn
	return r.Write(conn)
}

func (p *polling) abort() {
	p.cancel()
	p.client.CloseIdleConnections()
	if p.openConn != nil {
		_ = p.openConn.Close()
	}
}
