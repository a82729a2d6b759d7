package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// clusterSize is how many servers of a kind make a cluster.
const clusterSize = 3

// redisAddr stands for the address of Redis in the command of a server.
const redisAddr = "{redis}"

// clusterAdapters are the names of adapters that both Go and Node.js have.
func clusterAdapters() []string { return []string{"classic", "sharded", "streams"} }

// clusterServers has the servers that make clusters, with these adapters.
func clusterServers(bin, root string, adapters []string) (all []server) {
	for _, a := range adapters {
		name := func(of string) string { return of + "-" + a }
		all = append(all, server{
			name: name(ours), title: "sioplug, " + a, against: name(reference),
			command: []string{bin + "/server", "-adapter", a, "-redis", redisAddr, "-port"},
		}, server{
			name: name(reference), title: "socket.io, " + a, against: name(reference),
			command: []string{"node", "--expose-gc", root + "/bench/js/server.mjs", "--adapter", a, "--redis", redisAddr},
		})
	}
	return all
}

// clusterScenarios has what is asked of clusters.
func clusterScenarios() []scenario {
	const clients = clusterSize * 1000
	traffic := []metric{
		{"redis_cpu_us", "CPU time of Redis per message", "µs"},
		{"redis_in_bytes", "bytes to Redis per message", ""},
		{"redis_out_bytes", "bytes from Redis per message", ""},
	}
	perMessage := metric{"message_cpu_us", "CPU time per message", "µs"}
	times := []metric{lastDelivery("p50"), lastDelivery("p99"), perSecond("deliveries")}
	toAll := slices.Concat([]metric{
		cpuPer("delivery"),
		{"first_cpu_us", "of the server that broadcasts", "µs"},
		{"others_cpu_us", "of the others", "µs"},
		perMessage,
	}, times, traffic)
	return []scenario{
		{
			name: "cluster-bcast", title: "cluster: broadcast to {n}", load: "bcast", clients: clients, metrics: toAll, headline: 2,
			about: "One client has its server send 100 bytes to all {n}, a third of which are connected to each server, again when all have got it.",
		},
		{
			name: "cluster-burst", title: "cluster: burst of 20 to {n}", load: "bcast", clients: clients, args: []string{"-burst", "20"},
			metrics: toAll, headline: 2,
			about: "The same with {n} clients and 20 broadcasts at a time.",
		},
		{
			name: "cluster-rooms", title: "cluster: rooms of 10", load: "rooms", clients: clients,
			metrics: slices.Concat([]metric{perMessage, cpuPer("delivery")}, times, traffic), headline: 2,
			about: "{n} clients in rooms of 10, whose clients are connected to all three servers. One client of each room has its server send to " +
				"it, all at the same time.",
		},
	}
}

// ofClusters returns the plan to measure clusters, with the adapters that names names.
func (p plan) ofClusters(root, names string) (plan, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return p, errNoRedis
	}
	adapters, err := chosen(clusterAdapters(), names, func(a string) []string { return []string{a} })
	p.servers, p.scenarios, p.nodes = clusterServers(p.bin, root, adapters), clusterScenarios(), clusterSize
	return p, err
}

// presentClusters returns the scenarios and servers of clusters that there are results of.
func (s *session) presentClusters() ([]scenario, []server) {
	return s.present(clusterScenarios(), clusterServers("", "", clusterAdapters()))
}

// clusterBetter tells where socket.io costs less than we do, by more than 5%.
func (s *session) clusterBetter() (lines []string) {
	scs, srvs := s.presentClusters()
	for _, sc := range scs {
		for _, m := range sc.metrics {
			for _, srv := range srvs {
				if r, ok := s.lessThan(srv.name, sc, m, srv.against); ok && m.key != "per_s" {
					lines = append(lines, fmt.Sprintf("%s, %s: socket.io takes %s of what %s takes", sc.title, m.title, r, srv.title))
				}
			}
		}
	}
	return lines
}

// redisServer is Redis as a broker alone: it keeps nothing on disk.
func redisServer() server {
	return server{name: "redis-server", command: []string{"redis-server", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--loglevel", "warning", "--port"}}
}

// processes are what one scenario runs against.
type processes struct {
	servers []process
	redis   *process
}

// startServers starts one server, or Redis and the servers that it connects.
func (p plan) startServers(ctx context.Context, srv server) (procs processes, err error) {
	defer func() {
		if err != nil {
			procs.stop()
		}
	}()
	if p.nodes > 0 {
		redis, err := start(ctx, redisServer())
		if err != nil {
			return procs, err
		}
		procs.redis = &redis
		srv.command = slices.Clone(srv.command)
		for i, word := range srv.command {
			srv.command[i] = strings.ReplaceAll(word, redisAddr, redis.addr)
		}
	}
	procs.servers = make([]process, max(1, p.nodes))
	errs := make([]error, len(procs.servers))
	var starting sync.WaitGroup
	for i := range procs.servers {
		starting.Go(func() { procs.servers[i], errs[i] = start(ctx, srv) })
	}
	starting.Wait()
	return procs, errors.Join(errs...)
}

func (p processes) stop() {
	for _, s := range p.servers {
		if s.stop != nil { // it has started
			s.stop()
		}
	}
	if p.redis != nil {
		p.redis.stop()
	}
}

// flags tell the load generator about the processes.
func (p processes) flags() []string {
	var addrs, pids []string
	for _, s := range p.servers {
		addrs, pids = append(addrs, s.addr), append(pids, strconv.Itoa(s.pid))
	}
	flags := []string{"-addr", strings.Join(addrs, ","), "-pid", strings.Join(pids, ",")}
	if p.redis != nil {
		flags = append(flags, "-redis", p.redis.addr)
	}
	return flags
}

// redisVersion returns "absent" if there is none.
func redisVersion(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "redis-server", "--version").Output()
	if err == nil {
		for word := range strings.FieldsSeq(string(out)) {
			if v, ok := strings.CutPrefix(word, "v="); ok {
				return v
			}
		}
	}
	return "absent"
}

var errNoRedis = errors.New("redis-server is not installed: servers of a cluster need it")
