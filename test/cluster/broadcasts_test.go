package cluster_test

import (
	"slices"
	"strings"
	"testing"
)

// A broadcast is a row of the table of broadcasts.
type broadcast struct {
	name string
	ids  ids
	do   command
	want string // which clients of each server hear of it
	own  bool   // only those of the server that emits

	event    string // what clients get, if it is not what is emitted
	official bool   // only official servers have such values
	emitter  bool   // emitters can do it, too
}

func with(args ...any) []any { return append([]any{"e"}, args...) }

func off() *bool { return new(bool) }

func broadcasts() []broadcast {
	deep := map[string]any{"deep": []any{blob{1, 2}, map[string]any{"b": blob("x")}}, "empty": blob{}}
	return []broadcast{
		{
			name: "to all", emitter: true, want: "1 2 3",
			ids: ids{classic: "ECO-RC-1,12,13", sharded: "ECO-SH-4,6", streams: "ECO-ST-1,2", postgres: "ECO-PG-1,2"},
			do:  command{Args: with(1, "two", map[string]any{"a": []any{nil, true}})},
		},
		{name: "without arguments", emitter: true, do: command{Args: with()}, want: "1 2 3"},
		{
			name: "to a room", emitter: true, do: command{Args: with(1), To: []any{"r1"}}, want: "1 2",
			ids: ids{classic: "ECO-RC-2,10", sharded: "ECO-SH-2,4", streams: "ECO-ST-1"},
		},
		{
			name: "to two rooms", emitter: true, do: command{Args: with(1), To: []any{"r1", "r2"}}, want: "1 2",
			ids: ids{classic: "ECO-RC-1", sharded: "ECO-SH-4"},
		},
		{name: "to nobody", emitter: true, do: command{Args: with(1), To: []any{"nobody"}}},
		{name: "to the same room of another namespace", emitter: true, do: command{NS: "/chat", Args: with(1), To: []any{"r1"}}, want: "chat"},
		{name: "to all of another namespace", emitter: true, do: command{NS: "/chat", Args: with(blob{1})}, want: "chat", ids: ids{classic: "ECO-RC-11"}},
		{name: "except a room", emitter: true, do: command{Args: with(1), Except: []any{"r2"}}, want: "1 3"},
		{name: "except two rooms", emitter: true, do: command{Args: with(1), Except: []any{"r2", "r1"}}, want: "3"},
		{name: "to a room except another", emitter: true, do: command{Args: with(1), To: []any{"r1"}, Except: []any{"r2"}}, want: "1"},
		{
			name: "to a number", official: true, emitter: true, do: command{Args: with(1), To: []any{roomSeven}}, want: "2",
			ids: ids{classic: "ECO-RC-15"},
		},
		{name: "to a name that looks like a number", emitter: true, do: command{Args: with(1), To: []any{roomDigit}}, want: "2", ids: ids{classic: "ECO-RC-10"}},
		{name: "to a name that looks like an id", emitter: true, do: command{Args: with(1), To: []any{room20}}, want: "2", ids: ids{sharded: "ECO-SH-4"}},
		{name: "to a name with a separator", emitter: true, do: command{Args: with(1), To: []any{roomHash}}, want: "2"},
		{name: "uncompressed", emitter: true, do: command{Args: with(1), Compress: off()}, want: "1 2 3"},
		{
			name: "binary", emitter: true, do: command{Args: with(blob{1, 2, 3}, blob(strings.Repeat("x", 300)), deep)}, want: "1 2 3",
			ids: ids{classic: "ECO-RC-1", sharded: "ECO-SH-6", streams: "ECO-ST-1", postgres: "ECO-PG-3"},
		},
		{name: "binary to a room", emitter: true, do: command{Args: with(deep), To: []any{"r2"}}, want: "2"},
		{
			name: "large", want: "2", ids: ids{postgres: "ECO-PG-3"},
			do: command{Args: with(strings.Repeat("é", 40_000), blob(strings.Repeat("b", 70_000))), To: []any{"r2"}},
		},
		{
			name: "special values", emitter: true, want: "1 2 3",
			do: command{Args: with(nil, "", "é😀\"\\\n\u2028\x00", []any{}, map[string]any{}, []any{nil, []any{[]any{}}}, map[string]any{"": nil}, false)},
		},
		{
			name: "what looks like a placeholder", want: "1 2 3",
			do: command{Args: with(map[string]any{"_placeholder": "no", "num": 0}, map[string]any{"$": 1})},
		},
		{
			name: "numbers", emitter: true, want: "1 2 3",
			do: command{Args: with(0, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, 9007199254740991,
				-1, -32, -33, -128, -129, -32768, -32769, -2147483648, -2147483649, -9007199254740991, 1.5, 0.1, -2.5e-7, 179769313.48623157)},
		},
		{
			name: "dates", emitter: true, do: command{Args: with(date(1_700_000_000_123))}, want: "1 2 3",
			event: `["e","2023-11-14T22:13:20.123Z"]`,
		},
		{
			name: "dates of official servers", official: true, emitter: true, want: "1 2 3",
			do:    command{Args: with(date(0), date(-1), date(17_179_869_184_000), map[string]any{"d": date(1_000)})},
			event: `["e","1970-01-01T00:00:00.000Z","1969-12-31T23:59:59.999Z","2514-05-30T01:53:04.000Z",{"d":"1970-01-01T00:00:01.000Z"}]`,
		},
		{
			name: "what JSON does not have", official: true, emitter: true, want: "1 2 3",
			do:    command{Args: with(undefined{}, nan{}, []any{undefined{}}, 1)},
			event: `["e",null,null,[null],1]`,
		},
		{
			name: "local", do: command{Args: with(1), Local: true}, want: "1 2 3", own: true,
			ids: ids{classic: "ECO-RC-13", sharded: "ECO-CL-6", streams: "ECO-CL-6"},
		},
		{name: "local to a room", do: command{Args: with(1), To: []any{"r1"}, Local: true}, want: "1 2", own: true},
	}
}

// testBroadcasts emits from a server or an emitter. m is nil for an emitter.
func (c *cluster) testBroadcasts(t *testing.T, by driver, m member) {
	t.Helper()
	for _, b := range broadcasts() {
		_, official := by.(*nodeEmitter)
		official = official || m != nil && m.official()
		if b.official && !official || !b.emitter && m == nil {
			continue
		}
		c.run(t, b.ids, b.name, func(t *testing.T) {
			b.do.Op = "emit"
			if b.do.NS == "" {
				b.do.NS = "/"
			}
			if b.event == "" {
				b.event = canonical(b.do.Args)
			}
			servers := c.members
			if b.own {
				servers = []member{m}
			}
			wantHeard(t, c.hear(t, by, b.do), b.event, each(servers, b.want))
		})
	}
	c.run(t, ids{classic: "ECO-RC-14"}, "to the id of a socket", func(t *testing.T) {
		for _, to := range c.members {
			cl := c.clients[to.name()+"1"]
			do := command{Op: "emit", NS: "/", Args: with("to you", blob{1}), To: []any{cl.id}}
			wantHeard(t, c.hear(t, by, do), canonical(do.Args), []string{cl.name})
		}
	})
	c.run(t, nil, "except the id of a socket", func(t *testing.T) {
		for _, except := range c.members {
			cl := c.clients[except.name()+"2"]
			do := command{Op: "emit", NS: "/", Args: with(1), To: []any{"r2"}, Except: []any{cl.id}}
			want := slices.DeleteFunc(each(c.members, "2"), func(name string) bool { return name == cl.name })
			wantHeard(t, c.hear(t, by, do), canonical(do.Args), want)
		}
	})
	c.run(t, nil, "one that slow clients may miss", func(t *testing.T) { // official servers ignore its flags
		do := command{Op: "emit", NS: "/", Args: with("missable", blob{1}), To: []any{"r1"}, Missable: true}
		wantHeard(t, c.hear(t, by, do), canonical(do.Args), each(c.members, "1 2"))
	})
	c.run(t, ids{classic: "ECO-RC-12"}, "volatile", func(t *testing.T) { c.testVolatile(t, by) })
}

// testVolatile emits until each client has got one of the events: any client may miss any.
func (c *cluster) testVolatile(t *testing.T, by driver) {
	do := command{Op: "emit", NS: "/", Args: with("volatile"), To: []any{"r1"}, Volatile: true}
	want := each(c.members, "1 2")
	missing := slices.Clone(want)
	const attempts = 100
	for range attempts {
		for name, events := range c.hear(t, by, do) {
			if !slices.Contains(want, name) || len(events) != 1 || events[0] != canonical(do.Args) {
				t.Fatalf("%s heard %s", name, events)
			}
			missing = slices.DeleteFunc(missing, func(m string) bool { return m == name })
		}
		if len(missing) == 0 {
			return
		}
	}
	t.Errorf("%q do not hear of %d events", missing, attempts)
}

// testFromSocket emits to all but one socket, as its server does for it.
func (c *cluster) testFromSocket(t *testing.T, m member) {
	from := c.clients[m.name()+"1"]
	all := command{Op: "emitFrom", NS: "/", Socket: from.id, Args: with("from me")}
	want := slices.DeleteFunc(each(c.members, "1 2 3"), func(name string) bool { return name == from.name })
	wantHeard(t, c.hear(t, m, all), canonical(all.Args), want)

	room := command{Op: "emitFrom", NS: "/", Socket: from.id, Args: with("from me", blob{1}), To: []any{"r1"}, Except: []any{"r2"}}
	want = slices.DeleteFunc(each(c.members, "1"), func(name string) bool { return name == from.name })
	wantHeard(t, c.hear(t, m, room), canonical(room.Args), want)
}

// testOrder emits many events, and each client gets them in that order. Official servers with
// PostgreSQL neither send nor receive them in order, if some are binary (CF-7).
func (c *cluster) testOrder(t *testing.T, m member) {
	const n = 200
	at := c.positions()
	var want []string
	for i := range n {
		do := command{Op: "emit", NS: "/", Args: with(i), To: []any{"r1"}}
		if i%3 == 0 {
			do.To = []any{"r1", "r2"}
		}
		if i%5 == 0 {
			do.Args = with(i, blob{byte(i)})
		}
		want = append(want, canonical(do.Args))
		c.must(t, m, do)
	}
	for name, got := range c.heardSince(t, m, at) {
		if c.variant.adapter == postgres && (m.official() || c.clients[name].at.official()) {
			sorted := slices.Sorted(slices.Values(want))
			if slices.Sort(got); !slices.Equal(got, sorted) {
				t.Errorf("%s heard %d of %d events: %s", name, len(got), n, got)
			}
			continue
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s heard %d of %d events, or in another order: %s", name, len(got), n, got)
		}
	}
}
