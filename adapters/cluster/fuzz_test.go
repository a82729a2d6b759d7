package cluster_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/adapters/internal/captures"
	"github.com/sioplug/sioplug/internal/packet"
)

func seeds(f *testing.F, add func(r *captures.Row, data []byte)) {
	f.Helper()
	for _, r := range captures.Rows(f, "redis-sharded", "redis-streams", "redis-streams-emitter") {
		if !strings.Contains(r.Operation, "fetchSockets") { // which is long
			add(&r, r.Bytes(f))
		}
	}
}

// Whatever is accepted is a packet that is the same after it was encoded and decoded.
func FuzzDecode(f *testing.F) {
	seeds(f, func(r *captures.Row, data []byte) {
		if r.Command != "XADD" {
			f.Add(data)
		}
	})
	for _, s := range []string{
		`{"type":64,"data":{"requestId":"a","part":2,"done":true,"ack":{"socket":"s","data":[1,{"_placeholder":true,"num":0}]}}}`,
		`{"type":67,"data":{"to":"go12345678901234","bytes":"AAECAw=="},"uid":"go12345678901234","nsp":"/"}`,
		"\x84\xa4type\x43\xa4data\x82\xa2to\xa1a\xa5bytes\xc4\x02\x00\x01\xa3uid\xa1b\xa3nsp\xa1/",
		`{"type":2,"data":{"version":18446744073709551615,"all":true,"namespaces":["/",7]},"uid":"go12345678901234"}`,
		"\x83\xa4type\x03\xa4data\x81\xa6packet\x81\xa4data\x92\xa1e\xc4\x01\x07\xa1x\xc4\x00",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		before := bytes.Clone(in)
		p, err := cluster.Decode(in)
		if !bytes.Equal(in, before) {
			t.Fatal("the input was changed")
		}
		if err == nil {
			check(t, p, len(in))
		}
	})
}

func FuzzDecodeData(f *testing.F) {
	seeds(f, func(r *captures.Row, data []byte) {
		if r.Command == "XADD" {
			f.Add(uint8(r.Number(f, "type")), data)
		}
	})
	f.Fuzz(func(t *testing.T, typ uint8, in []byte) {
		if p, err := cluster.DecodeData(cluster.Type(typ), "from", "/nsp", in); err == nil {
			check(t, p, len(in))
		}
	})
}

func check(t *testing.T, p *cluster.Packet, size int) {
	t.Helper()
	known := false
	for _, typ := range allTypes() {
		known = known || typ == p.Type
	}
	if !known {
		return
	}
	var data []byte
	var attachments [][]byte
	switch {
	case p.Message != nil:
		data, attachments = p.Message.Data, p.Message.Attachments
	case p.Reply != nil && p.Reply.Ack != nil:
		data, attachments = p.Reply.Ack.Data, p.Reply.Ack.Attachments
	}
	if len(attachments) > size || len(data) > 6*size+40*len(attachments)+2 {
		t.Fatalf("%d bytes became %d, and %d attachments", size, len(data), len(attachments))
	}
	if len(attachments) > 0 && packet.CheckData(data, len(attachments)) != nil {
		t.Fatalf("%d attachments, and %s", len(attachments), data)
	}
	arrives(t, p)
}
