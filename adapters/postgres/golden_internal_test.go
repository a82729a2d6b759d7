package postgresadapter

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/adapters/internal/captures"
)

// What the official adapter and emitter send is understood, and the same packet is sent as the
// same notification and the same row: in most cases, byte for byte.
//
//nolint:tparallel // the subtests are short, and count together
func TestGoldenCAP_PG_CAP_PGA(t *testing.T) {
	t.Parallel()
	c := channels{defaultPrefix}
	same, different := 0, 0
	for _, r := range captures.Rows(t, "postgres") {
		t.Run(r.ID+" "+r.Operation, func(t *testing.T) {
			in := r.Bytes(t)
			id, err := readHeader(in)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(r.Text, `,"attachmentId":"`) {
				wantHeader(t, &r, id)
				return
			}
			if id != 0 {
				t.Fatalf("it names row %d", id)
			}
			p, err := cluster.Decode(bytes.Clone(in))
			if err != nil {
				t.Fatal(err)
			}
			b := &broker{channels: c, spaces: map[string]string{"socket.io#/": "/", "socket.io#/chat": "/chat"}}
			if channel := r.Channel; channel != "" {
				if here, err := b.place(p, channel); !here || err != nil {
					t.Errorf("it has no place: %v", err)
				}
			}
			want := captures.Normal(r.Decoded).(map[string]any) //nolint:errcheck // all are objects
			complete(want, p)
			if got := captures.Normal(captures.Shape(t, p)); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("decoded\n%v, want\n%v", got, want)
			}
			out, err := c.encode(p)
			switch {
			case err != nil:
				t.Fatal(err)
			case r.Channel != "" && out.channel != r.Channel:
				t.Errorf("it goes over %s, not over %s", out.channel, r.Channel)
			case out.row == nil && bytes.Equal(out.text, in), bytes.Equal(out.row, in):
				same++
			default:
				different++
				t.Logf("sent as %q", out.text)
			}
		})
	}
	if same != 61 {
		t.Errorf("%d messages are the same, byte for byte, and %d are not", same, different)
	}
}

// complete adds what is missing in messages of the official emitter, and in those that have no
// data.
func complete(want map[string]any, p *cluster.Packet) {
	want["nsp"] = p.Namespace
	data, ok := want["data"].(map[string]any)
	if !ok {
		want["data"] = map[string]any{}
		return
	}
	if opts, ok := data["opts"].(map[string]any); ok && opts["flags"] == nil {
		opts["flags"] = map[string]any{}
	}
	if packet, ok := data["packet"].(map[string]any); ok && packet["type"] != nil {
		delete(packet, "nsp")
	}
}

// wantHeader checks the notification of a row of the table.
func wantHeader(t *testing.T, r *captures.Row, id int64) {
	t.Helper()
	decoded, _ := r.Decoded.(map[string]any)
	typ, _ := decoded["type"].(float64)
	uid, _ := decoded["uid"].(string)
	if fmt.Sprint(id) != decoded["attachmentId"] {
		t.Errorf("it names row %d", id)
	}
	out, err := appendHeader(nil, &cluster.Packet{Type: cluster.Type(typ), From: uid})
	if out = append(strconv.AppendInt(out, id, 10), `"}`...); err != nil || string(out) != r.Text {
		t.Errorf("got %s, %v", out, err)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{
		"": 0, "{": 0, `{}`: 0, "\x81": 0, `{"attachmentId":null}`: 0, `{"attachmentId":7}`: 7, "{\"type\":3,\"attachmentId\":\"42\"}\n": 42,
		`{"data":{"attachmentId":"42"}}`: 0, `{"data":"attachmentId"}`: 0, `{"\u0061ttachmentId":"attachmentId"}`: -1,
		`{"attachmentId":""}`: -1, `{"attachmentId":"-1"}`: -1, `{"attachmentId":"x"}`: -1, `{"attachmentId":{}}`: -1,
		`{"attachmentId":[1]}`: -1, `{"attachmentId":1.5}`: -1, `{"attachmentId":1e99}`: -1, `{"attachmentId":"9223372036854775808"}`: -1,
		`{"attachmentId"`: -1, `{"attachmentId":"1"}}`: -1, "{\"attachmentId\":\"\xff\"}": -1,
	} {
		got, err := readHeader([]byte(in))
		if (want >= 0) != (err == nil) || err == nil && got != want {
			t.Errorf("%s: %d, %v", in, got, err)
		}
	}
}

// CAP-F-9: no name is too long for a channel, and no two have the same.
func TestChannels(t *testing.T) {
	t.Parallel()
	c := channels{strings.Repeat("p", maxPrefix)}
	seen := make(map[string]string)
	for _, name := range []string{
		"/", "/chat", "/" + strings.Repeat("n", 32), "/" + strings.Repeat("n", 33), "/" + strings.Repeat("n", 69), "/" + strings.Repeat("n", 70),
		"/é", "/\x00", "/\xff", "/" + `";`, "/a.b", "/~",
	} {
		for _, channel := range []string{c.namespace(name), c.server(name), c.servers()} {
			if other, ok := seen[channel]; ok && other != name && channel != c.servers() {
				t.Errorf("%q and %q share %q", name, other, channel)
			}
			seen[channel] = name
		}
		if channel := c.namespace(name); len(channel) > maxIdentifier || !isText(channel) {
			t.Errorf("%q has the channel %q", name, channel)
		}
	}
	if got := (channels{"socket.io"}).namespace("/" + strings.Repeat("n", 52)); got != "socket.io#/"+strings.Repeat("n", 52) {
		t.Errorf("got %q", got) // as long as the official adapter can
	}
	if (channels{"a"}).lock("go1") == (channels{"b"}).lock("go1") {
		t.Error("two clusters share a lock")
	}
}

// Equal messages of one transaction become different ones, which mean the same.
func TestEqualMessagesAreDistinguished(t *testing.T) {
	t.Parallel()
	c := channels{defaultPrefix}
	seen := make(map[string]bool)
	for _, text := range []string{"x", strings.Repeat("y", maxPayload-200)} {
		var all []outgoing
		for range 300 {
			p := &cluster.Packet{Type: cluster.Broadcast, From: "goabcdefghijklmn", Namespace: "/", Message: event(text)}
			o, err := c.encode(p)
			if err == nil {
				o, err = o.distinguish(all, p)
			}
			if err != nil {
				t.Fatal(err)
			}
			if o.row == nil && (seen[string(o.text)] || len(o.text) > maxPayload) {
				t.Fatalf("%d bytes, or as an earlier one", len(o.text))
			}
			seen[string(o.text)] = true
			all = append(all, o)
			if o.row != nil {
				continue
			}
			if got, err := cluster.Decode(o.text); err != nil || !bytes.Equal(got.Message.Data, p.Message.Data) {
				t.Fatalf("%v, %v", got, err)
			}
		}
	}
}
