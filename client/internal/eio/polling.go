package eio

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/payload"
	"github.com/sioplug/sioplug/internal/rescue"
)

// maxRefusal is how many bytes of a refusal are part of the error, and how many of the
// answer to a POST are read.
const maxRefusal = 256

// pollsFactor is how many times Config.MaxMessage the answer to a poll may have: it
// carries several messages.
const pollsFactor = 4

var errBodyTooLarge = errors.New("the answer to a poll is too large")

// endpoint returns the URL of a request.
func (e *Engine) endpoint(transport, sid string) string {
	u := *e.cfg.URL
	own := url.Values{"EIO": {"4"}, "transport": {transport}}
	if e.cfg.TimestampParam != "" && transport == Polling {
		own.Set(e.cfg.TimestampParam, strconv.FormatInt(time.Now().UnixNano(), 36))
	}
	if e.cfg.ForceBase64 {
		own.Set("b64", "1")
	}
	if sid != "" {
		own.Set("sid", sid)
	}
	u.RawQuery = own.Encode()
	if q := e.cfg.Query.Encode(); q != "" { // CLI-TR-1: the user's comes first
		u.RawQuery = q + "&" + u.RawQuery
	}
	return u.String()
}

// request sends a request and returns the body of its answer.
func (e *Engine) request(ctx context.Context, method, sid string, body []byte) ([]byte, error) {
	if e.cfg.RequestTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, e.cfg.RequestTimeout)
		defer cancel()
	}
	r, err := http.NewRequestWithContext(ctx, method, e.endpoint(Polling, sid), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	e.setHeader(r)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	res, err := e.cfg.Client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, maxRefusal))
		return nil, &StatusError{res.StatusCode, string(text)}
	}
	if method == http.MethodPost { // nothing of it matters, but an answer that was read leaves the connection to the next one
		if _, err = io.CopyN(io.Discard, res.Body, maxRefusal); err == io.EOF { //nolint:errorlint // as CopyN returns it
			err = nil
		}
		return nil, err
	}
	limit := int64(e.cfg.MaxMessage) * pollsFactor
	p, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err == nil && int64(len(p)) > limit {
		err = errBodyTooLarge
	}
	return p, err
}

// setHeader puts the headers of the application into a request.
func (e *Engine) setHeader(r *http.Request) {
	r.Header = e.cfg.Header.Clone()
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
}

// A StatusError is the answer of a server that refuses a request.
type StatusError struct {
	Status int
	Body   string // its beginning
}

// Error implements error.
func (e *StatusError) Error() string { return fmt.Sprintf("status %d: %q", e.Status, e.Body) }

func pollingError(err error) error { return fmt.Errorf("polling error: %w", err) }

// openPolling opens a session by polling, and starts the goroutine that polls.
func (e *Engine) openPolling(ctx context.Context) error {
	body, err := e.request(ctx, http.MethodGet, "", nil)
	if err != nil {
		return pollingError(err)
	}
	r := payload.NewReader(body)
	p, err := r.Next()
	if err == nil {
		err = e.opened(Polling, p, nil)
	}
	if err != nil {
		return pollingError(err)
	}
	go rescue.Do(func() error { return e.poll(&r) }, e.pollEnded) // ends with the session, or the upgrade
	return nil
}

// poll reads until the session ends or moves to a WebSocket. first has packets that came
// with the open packet.
func (e *Engine) poll(first *payload.Reader) error {
	if err := e.packets(first); err != nil {
		return err
	}
	for e.pollsOn() {
		body, err := e.request(e.ctx, http.MethodGet, e.sid, nil)
		if err != nil {
			return pollingError(err)
		}
		r := payload.NewReader(body)
		if err := e.packets(&r); err != nil {
			return err
		}
	}
	return nil
}

// pollsOn reports whether to poll again.
func (e *Engine) pollsOn() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.state == stateClosed:
		return false
	case e.upgrade.paused:
		e.upgrade.pollEnded = true
		e.commitUpgradeLocked()
		return false
	}
	return true
}

func (e *Engine) packets(r *payload.Reader) error {
	for r.More() {
		p, err := r.Next()
		if err != nil {
			return pollingError(err)
		}
		e.receive(p)
	}
	e.h.ReadDone()
	return nil
}

func (e *Engine) pollEnded(err error) {
	if err != nil {
		e.end(TransportError, err)
	}
}

// post sends what is queued.
func (e *Engine) post() error {
	for {
		batch, size := e.nextBatch(e.fittingLocked)
		if batch == nil {
			return nil
		}
		body := payload.Append(nil, batch)
		for _, f := range batch {
			f.Release()
		}
		if _, err := e.request(e.ctx, http.MethodPost, e.sid, body); err != nil {
			return pollingError(err)
		}
		e.wrote(batch, size)
	}
}

// fittingLocked returns how many of the frames fit in one POST, at least one (CLI-TR-3).
// A single one that is too large is sent, and the server refuses it.
func (e *Engine) fittingLocked(frames []*frame.Frame) int {
	size := 0
	for i, f := range frames {
		n := len(f.Payload())
		if f.Binary() {
			n = 1 + base64.StdEncoding.EncodedLen(n)
		}
		if i > 0 {
			n++ // the separator
		}
		if size += n; i > 0 && e.maxBody > 0 && size > e.maxBody {
			return i
		}
	}
	return len(frames)
}
