package forward

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sioplug/sioplug/core/engine"
)

// headName is the header of requests between servers. An answer has it, too, if the server
// has accepted the signature.
const headName = "Sioplug-Forwarded"

// A head is what one server tells another about a request, beside its headers and its body.
// It is signed.
type head struct {
	to     string // id of the server that has the session
	from   string // id of the server that forwards
	method string // of the client's request, or methodRelease
	uri    string // path and query, as the client sent them
	host   string
	ip     string // of the client
	tls    bool
	limit  int           // how many bytes the body can have
	within time.Duration // when a poll has to be answered, 0 if there is no limit
}

// methodRelease asks a server to answer the polls that the sender has forwarded.
const methodRelease = "RELEASE"

// errHead is the error of a head that was not signed with the secret, or makes no sense.
var errHead = errors.New("forward: the request is not from a server of the cluster")

// maxWithin is more than any server gives a request. It keeps durations from overflowing.
const maxWithin = 24 * time.Hour

// headOf returns the head of a client's request.
func headOf(r *engine.Request) head {
	return head{method: r.Method, uri: r.URI, host: r.Host, ip: r.ClientIP, tls: r.TLS}
}

// sign returns the value of the header.
func (h *head) sign(secret []byte) string {
	v := url.Values{
		"to": {h.to}, "from": {h.from}, "method": {h.method}, "uri": {h.uri}, "host": {h.host}, "ip": {h.ip},
		"limit": {strconv.Itoa(h.limit)}, "within": {strconv.FormatInt(h.within.Milliseconds(), 10)},
	}
	if h.tls {
		v.Set("tls", "1")
	}
	fields := v.Encode()
	return signature(secret, fields) + " " + fields
}

func signature(secret []byte, fields string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("sioplug-forward-1\n")) // a change of the meaning changes this, too
	mac.Write([]byte(fields))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// readHead reads the header and checks its signature.
func readHead(values []string, secret []byte) (h head, err error) {
	if len(values) != 1 {
		return h, errHead
	}
	signed, fields, found := strings.Cut(values[0], " ")
	if !found || !hmac.Equal([]byte(signed), []byte(signature(secret, fields))) { // takes the same time for all
		return h, errHead
	}
	v, err := url.ParseQuery(fields)
	if err != nil {
		return h, errHead
	}
	h = head{
		to: v.Get("to"), from: v.Get("from"), method: v.Get("method"), uri: v.Get("uri"), host: v.Get("host"),
		ip: v.Get("ip"), tls: v.Get("tls") != "",
	}
	ms, err1 := strconv.ParseInt(v.Get("within"), 10, 64)
	if h.limit, err = strconv.Atoi(v.Get("limit")); errors.Join(err, err1) != nil || h.limit < 0 || ms < 0 || ms > maxWithin.Milliseconds() {
		return head{}, errHead
	}
	h.within = time.Duration(ms) * time.Millisecond
	return h, nil
}

// request completes a request that another server has forwarded.
func (h *head) request(r *engine.Request) {
	path, query, _ := strings.Cut(h.uri, "?")
	if u, err := url.ParseRequestURI(h.uri); err == nil {
		path = u.Path
	}
	r.Method, r.URI, r.Path, r.Query = h.method, h.uri, path, engine.ParseQuery(query)
	r.Host, r.ClientIP, r.TLS = h.host, h.ip, h.tls
	r.Header.Del(headName)
}

// hopHeaders are for one connection, and are not forwarded.
func hopHeaders() []string {
	return []string{
		"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length",
	}
}

// forwardable returns a copy of a header without what is for one connection, and without what
// HTTP does not allow.
func forwardable(h http.Header) http.Header {
	out := make(http.Header, len(h)+2)
	for k, vs := range h {
		if !validName(k) {
			continue
		}
		for _, v := range vs {
			if validValue(v) {
				out[k] = append(out[k], v)
			}
		}
	}
	for _, v := range h["Connection"] {
		for name := range strings.SplitSeq(v, ",") {
			out.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopHeaders() {
		delete(out, name)
	}
	return out
}

// validName reports whether a header can have this name.
func validName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

// validValue reports whether a header can have this value.
func validValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7F {
			return false
		}
	}
	return true
}
