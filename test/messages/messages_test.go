// Package messages_test keeps docs/troubleshooting.md complete: it has each message of
// the code, word for word.
package messages_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// notMessages are texts of the code that nobody reads as a message.
func notMessages() map[string]string {
	return map[string]string{
		"application/javascript; charset=utf-8":      "content type",
		"application/json; charset=utf-8":            "content type",
		"application/jwk-set+json, application/json": "content type",
		"text/css; charset=utf-8":                    "content type",
		"text/html; charset=utf-8":                   "content type",
		"text/javascript; charset=utf-8":             "content type",
		"text/plain; charset=UTF-8":                  "content type",
		"text/plain; charset=utf-8":                  "content type",
		"text/javascript; charset=UTF-8":             "content type",
		"GET, HEAD":                                  "methods",
		"GET, POST":                                  "methods",
		"public, max-age=0":                          "header",
		"public, max-age=31536000, immutable":        "header",
		"sioadmin client %":                          "hashed",
		"sioadmin session":                           "hashed",
		`<script src="%"></script>`:                  "page",
		`<link href="%" rel="stylesheet">%`:          "page",
		"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; %; " +
			"base-uri 'none'; form-action 'none'; frame-ancestors 'none'": "header",
		"HTTP/1.1 101 Switching Protocols\r\n": "header",
		"RS PS":                                "names of algorithms",
		"in flight":                            "name of a limit",
		"sockets per ip":                       "name of a limit",
		"sockets per user":                     "name of a limit",
		"Mon Jan 02 2006 15:04:05 GMT+0000 (Coordinated Universal Time)": "format",
		"github.com/sioplug/sioplug server":                              "key of a value",
		"echo's context at connect time":                                 "key of a value",
		"gin's context at connect time":                                  "key of a value",
		"fiber's locals at connect time":                                 "key of a value",
		"use what `openssl rand -base64 %` makes":                        "part of messages: <advice>",
		"compressed, it would be longer":                                 "handled inside of package websocket",
		"decompressed, it is too long":                                   "handled inside of package websocket",
		"too many last blocks":                                           "handled inside of package websocket",
		"websocket: another goroutine reads this connection":             "handled in package engine",
		"queue is closed":                                                "handled in package sio",
		"queue is full":                                                  "handled in package sio",
		"body is larger than maxHttpBufferSize":                          "handled in package engine",
		"unknown host":                                                   "name of a server in Status.Members",
		"nothing to send":                                                "handled in package redisadapter",
		"the replies to others come first":                               "handled in package redisadapter",
		"redisadapter: counting servers: %":                              "handled in package cluster",
		"redis: MOVED ":                                                  "begins an error of Redis",
		"no such key":                                                    "part of an error of Redis",
		"joining rooms":                                                  "part of messages: what an emitter does",
		"leaving rooms":                                                  "part of messages: what an emitter does",
		"disconnecting clients":                                          "part of messages: what an emitter does",
		"closing connections":                                            "part of messages: what an emitter does",
	}
}

// prefixes may stand before a message where people read it.
const prefixes = `(?:sio: |sio: Options\.|sio: On\([^)]*\): |websocket: |msgpack: |auth: token is not valid: )?`

func TestMessagesAreInTheDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	spans := strings.Join(codeSpans(string(text)), "\n")
	ignored, messages := notMessages(), collect(t)
	for _, m := range messages {
		if strings.Contains(m.text, "redis.call(") || strings.HasPrefix(m.at, "adapters/postgres/") && statement.MatchString(m.text) {
			continue // a script, or SQL
		}
		if _, ignore := ignored[m.text]; ignore {
			delete(ignored, m.text)
			continue
		}
		if !pattern(m.text).MatchString(spans) && notMessages()[m.text] == "" {
			t.Errorf("%s: docs/troubleshooting.md lacks `%s`", m.at, m.text)
		}
	}
	for text := range ignored {
		t.Errorf("the code has no %q any more", text)
	}
	const least = 300
	if len(messages) < least {
		t.Errorf("only %d messages", len(messages))
	}
}

// statement matches the beginning of SQL.
var statement = regexp.MustCompile(`^(?:BEGIN; |DELETE FROM |SELECT |SET |WITH )`)

// codeSpans returns the code spans of a document, without its blocks of code.
func codeSpans(text string) (spans []string) {
	text = regexp.MustCompile("(?ms)^```.*?^```").ReplaceAllString(text, "")
	for _, m := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(text, -1) {
		spans = append(spans, m[1])
	}
	return spans
}

// pattern matches a code span with a message. Anything may stand for a part that is not
// constant.
func pattern(text string) *regexp.Regexp {
	parts := strings.Split(text, "%")
	for i, p := range parts {
		parts[i] = regexp.QuoteMeta(p)
	}
	return regexp.MustCompile(fmt.Sprintf(`(?m)^%s%s$`, prefixes, strings.Join(parts, `.+`)))
}

// The document has to fail this test if it lacks a message.
func TestPattern(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text, span string
		want       bool
	}{
		{"ping timeout", "ping timeout", true},
		{"ping timeout", "a ping timeout", false},
		{"OfFunc got a nil function", "sio: OfFunc got a nil function", true},
		{"On(%): namespace % has one", "sio: On(<event>): namespace <name> has one", true},
		{"a limit of % sockets", "a limit of sockets", false},
		{"InitialPacket is a %", "sio: Options.InitialPacket is a <type>", true},
	} {
		if got := pattern(tt.text).MatchString("x\n" + tt.span + "\ny"); got != tt.want {
			t.Errorf("%q in %q: %v, want %v", tt.text, tt.span, got, tt.want)
		}
	}
}
