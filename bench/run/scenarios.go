package main

import (
	"fmt"
	"slices"
	"strconv"
)

// A server is one of those that are compared.
type server struct {
	name, title string
	command     []string // the port is appended
	growth      bool     // is measured with growing numbers, too
	against     string   // in a cluster: the server that ratios are to
	peer        *peer    // nil if it belongs to every comparison
}

// Servers that the report has something to say about.
const (
	ours      = "sioplug"
	reference = "socket.io"
	baseline  = "baseline"
)

func servers(bin, root string) []server {
	sioplug := func(mount string) []string { return []string{bin + "/server", "-mount", mount, "-port"} }
	return slices.Concat([]server{
		{name: ours, title: "sioplug, net/http", command: sioplug("nethttp"), growth: true},
		{name: "sioplug-gin", title: "sioplug, Gin", command: sioplug("gin")},
		{name: "sioplug-echo", title: "sioplug, Echo", command: sioplug("echo")},
		{name: "sioplug-fiber", title: "sioplug, Fiber", command: sioplug("fiber")},
		{name: reference, title: "socket.io, Node.js", command: []string{"node", "--expose-gc", root + "/bench/js/server.mjs"}, growth: true},
	}, peers(bin, root), []server{
		{name: baseline, title: "baseline", command: []string{bin + "/baseline", "-port"}, growth: true},
	})
}

// A metric is one of the values that the load generator measures. Less is better,
// in all but per_s.
type metric struct {
	key, title, unit string
}

// A scenario is what is asked of a server.
type scenario struct {
	name, title string
	about       string // in a sentence
	load        string // scenario of the load generator
	clients     int
	args        []string
	flags       []string // of our server
	metrics     []metric // the first one is in the plot
	headline    int      // how many of them are in the summary
	noBaseline  bool     // the baseline knows no upgrade: the reference is 1
	growth      string   // its name without the number that grows
	flaw        string   // what peers may do wrong, in the plural, and is counted
}

func cpuPer(what string) metric { return metric{"cpu_us", "CPU time per " + what, "µs"} }

func perSecond(what string) metric { return metric{"per_s", what + " a second", ""} }

func lastDelivery(p string) metric { return metric{p + "_us", "last delivery, " + p, "µs"} }

// comparison has the scenarios that all servers are compared in.
func comparison() []scenario {
	perMessage := []metric{cpuPer("message"), perSecond("messages")}
	perDelivery := []metric{cpuPer("delivery"), lastDelivery("p99"), perSecond("deliveries")}
	const cycles = "cycles failed"
	perCycle := []metric{cpuPer("cycle"), perSecond("cycles")}
	return []scenario{
		{
			name: "idle", title: "{n} idle clients", load: "idle", clients: 10_000, headline: 3,
			metrics: slices.Insert(idleMetrics(), 2, metric{"beat_cpu_us", "CPU time per heartbeat", "µs"}),
			about: "Clients connect over WebSocket and do nothing but answer pings. What the server's process occupies more than before, for " +
				"each of them, and what it uses until it has pinged each once, 25 seconds after it connected.",
		},
		{
			name: "idle5k", title: "{n} idle clients", load: "idle", clients: 5000, args: []string{"-beats", "0s"}, headline: 1,
			metrics: idleMetrics(),
			about:   "The same with {n} clients, without waiting for pings.",
		},
		{
			name: "parked", title: "{n} parked clients", load: "idle", clients: 5000, args: []string{"-beats", "0s"}, flags: []string{"-park"},
			metrics: idleMetrics(), headline: 1,
			about: "The same with sioplug's Options.ParkIdle. The other servers are as before.",
		},
		{
			name: "echo", title: "echo", load: "echo", clients: 200, metrics: perMessage, headline: 1,
			about: "Each of {n} clients sends a string of 100 bytes, which the server emits back, and the next one when it has arrived.",
		},
		{
			name: "echo16", title: "echo, 16 in flight", load: "echo", clients: 50, args: []string{"-inflight", "16"}, metrics: perMessage, headline: 1,
			flaw:  "answers out of order",
			about: "The same from {n} clients, each of which has 16 messages in flight.",
		},
		{
			name: "rate", title: "echo at 5,000/s", load: "rate", clients: 1000, args: []string{"-rate", "5000"}, headline: 3,
			metrics: []metric{
				cpuPer("message"),
				{"p99_us", "latency, p99", "µs"},
				{"p999_us", "latency, p99.9", "µs"},
				{"p50_us", "latency, p50", "µs"},
				{"gc_per_million", "collections per million messages", ""},
			},
			about: "{n} clients send 5,000 messages a second, however long the answers take. Latency counts from the millisecond in which a message is due.",
		},
		{
			name: "ack", title: "acknowledgement", load: "ack", clients: 200, metrics: perMessage, headline: 1,
			about: "As echo, but the server acknowledges with the string.",
		},
		{
			name: "binary", title: "binary, 1 KiB", load: "binary", clients: 100, args: []string{"-size", "1024"}, metrics: perMessage, headline: 1,
			about: "As echo, with 1,024 bytes in an attachment, from {n} clients.",
		},
		{
			name: "json", title: "JSON, 1 KiB", load: "json", clients: 100, args: []string{"-size", "1024"}, metrics: perMessage, headline: 1,
			about: "As echo, with a document, from {n} clients, that the server decodes into its own type and encodes again.",
		},
		{
			name: "sonic", title: "JSON, 1 KiB, by sonic", load: "json", clients: 100, args: []string{"-size", "1024"}, flags: []string{"-json", "sonic"},
			metrics: perMessage, headline: 1,
			about: "The same, with the library sonic in sioplug's Options.JSON. The other servers are as before.",
		},
		{
			name: "bcast1k", title: "broadcast to {n}", load: "bcast", clients: 1000, metrics: perDelivery, headline: 2,
			about: "One client has the server send 100 bytes to all {n}, again when all have got it.",
		},
		{
			name: "bcast5k", title: "broadcast to {n}", load: "bcast", clients: 5000, metrics: perDelivery, headline: 2,
			about: "The same with {n} clients.",
		},
		{
			name: "burst", title: "burst of 20 to {n}", load: "bcast", clients: 1000, args: []string{"-burst", "20"}, metrics: perDelivery, headline: 1,
			about: "The same with {n} clients and 20 broadcasts at a time.",
		},
		{
			name: "rooms", title: "rooms of 10", load: "rooms", clients: 1000, metrics: perDelivery, headline: 1,
			about: "{n} clients in rooms of 10. One client of each room has the server send to it, all at the same time.",
		},
		{
			name: "connect", title: "connecting", load: "connect", clients: 32, metrics: perCycle, headline: 1, flaw: cycles,
			about: "{n} clients at a time connect over WebSocket, join the root namespace and close, over and over.",
		},
		{
			name: "polling", title: "echo over polling", load: "polling", clients: 50, metrics: perMessage, headline: 1,
			about: "As echo, from {n} clients on HTTP long-polling with kept connections.",
		},
		{
			name: "upgrade", title: "upgrading", load: "upgrade", clients: 64, metrics: perCycle, headline: 1, noBaseline: true, flaw: cycles,
			about: "{n} clients at a time connect over polling, upgrade to WebSocket, echo one message over it and close.",
		},
	}
}

func idleMetrics() []metric {
	return []metric{
		{"bytes_gc", "bytes per client after GC", ""},
		{"bytes_settled", "bytes per client", ""},
		{"connect_cpu_us", "CPU time per connection", "µs"},
	}
}

// growth has the scenarios that show whether costs stay the same while numbers
// grow. No more clients connect than there are descriptors for.
func growth(descriptors int) []scenario {
	var ss []scenario
	for _, n := range []int{100, 1000, 10_000, 20_000} {
		add := func(load string, m ...metric) {
			ss = append(ss, scenario{
				name: fmt.Sprintf("%s-%d", load, n), title: "{n}", load: load, metrics: m, growth: load,
				clients: min(n, descriptors-100),
			})
		}
		add("idle", idleMetrics()...)
		add("echo", cpuPer("message"))
		add("bcast", cpuPer("delivery"))
	}
	for _, n := range []int{1, 10, 1000} {
		ss = append(ss, scenario{
			name: fmt.Sprintf("rooms-%d", n), title: strconv.Itoa(n), load: "rooms", clients: 1000,
			args: []string{"-rooms", strconv.Itoa(n)}, growth: "rooms", metrics: []metric{
				{"join_cpu_us", "CPU time per join", "µs"},
				cpuPer("delivery"),
				{"leave_cpu_us", "CPU time per room left by disconnecting", "µs"},
				{"bytes_membership", "bytes per membership", ""},
			},
		})
	}
	return ss
}
