package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// An endpoint is a server.
type endpoint struct {
	addr string
	pid  int
}

// parseServers takes addresses and process ids, with commas between those of a cluster.
func parseServers(addrs, pids string) (servers []endpoint, err error) {
	ids := strings.Split(pids, ",")
	for i, addr := range strings.Split(addrs, ",") {
		s := endpoint{addr: addr}
		if i < len(ids) {
			if s.pid, err = strconv.Atoi(ids[i]); err != nil {
				return nil, fmt.Errorf("-pid: %w", err)
			}
		}
		servers = append(servers, s)
	}
	if len(ids) != len(servers) {
		return nil, errors.New("-addr and -pid must have the same number of elements")
	}
	return servers, nil
}

func (o options) checkAddresses() error {
	if len(o.servers) == 0 {
		return errors.New("there is no server")
	}
	var addrs []string
	for _, s := range o.servers {
		addrs = append(addrs, s.addr)
	}
	if o.redis != "" {
		addrs = append(addrs, o.redis)
	}
	for _, addr := range addrs {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return err
		}
		if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
			return fmt.Errorf("%s is not on loopback", addr)
		}
	}
	return nil
}

// server returns the server of a client: clients connect to one after the other.
func (o options) server(client int) endpoint { return o.servers[client%len(o.servers)] }

// awaitCluster waits until each server knows all the others.
func (r *run) awaitCluster(ctx context.Context) {
	if len(r.servers) == 1 {
		return
	}
	defer r.within("finding the other servers")()
	for i := range r.servers {
		r.check(r.awaitOthers(ctx, i))
	}
}

// awaitOthers asks a server how many there are, until these are all.
func (r *run) awaitOthers(ctx context.Context, server int) error {
	c, err := r.connect(ctx, server)
	if err != nil {
		return err
	}
	for asked := 0; ; asked++ {
		c.send(ws.OpText, fmt.Appendf(nil, `42%d["servers"]`, asked))
		_, answer, err := c.next()
		if err != nil {
			return err
		}
		if string(answer) == fmt.Sprintf("43%d[%d]", asked, len(r.servers)) {
			return c.close()
		}
		wait(ctx, 20*time.Millisecond)
	}
}

// A redisSample is what Redis has done so far.
type redisSample struct {
	cpu     time.Duration
	in, out float64 // bytes that it has read and written
}

// sampleRedis returns zeros if there is no Redis.
func (r *run) sampleRedis() (s redisSample) {
	if r.redis != "" {
		var err error
		s, err = askRedis(r.redis)
		r.check(err)
	}
	return s
}

// askRedis has Redis tell what it has done.
func askRedis(addr string) (s redisSample, err error) {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return s, err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return s, err
	}
	if _, err := io.WriteString(c, "INFO stats\r\nINFO cpu\r\nQUIT\r\n"); err != nil {
		return s, err
	}
	var user, system float64
	fields := map[string]*float64{
		"total_net_input_bytes": &s.in, "total_net_output_bytes": &s.out, "used_cpu_user": &user, "used_cpu_sys": &system,
	}
	for lines := bufio.NewScanner(c); lines.Scan(); {
		name, text, _ := strings.Cut(lines.Text(), ":")
		to, ok := fields[name]
		if !ok {
			continue
		}
		if *to, err = strconv.ParseFloat(text, 64); err != nil {
			return s, fmt.Errorf("%s of Redis: %w", name, err)
		}
		delete(fields, name)
	}
	if len(fields) > 0 {
		return s, fmt.Errorf("%s does not tell %v, as Redis does", addr, slices.Sorted(maps.Keys(fields)))
	}
	s.cpu = time.Duration((user + system) * float64(time.Second))
	return s, nil
}

// sinceInCluster takes what a message costs all servers of a cluster together, and Redis.
// If all messages come from the first server, it tells apart what a delivery costs that
// one and the others.
func (r *run) sinceInCluster(from, to sample) {
	if r.fanout == 0 || len(r.servers) == 1 {
		return
	}
	deliveries := float64(to.units - from.units)
	messages := deliveries / float64(r.fanout)
	r.values["message_cpu_us"] = micros(to.server-from.server) / messages
	if r.redis != "" {
		r.values["redis_cpu_us"] = micros(to.redis.cpu-from.redis.cpu) / messages
		r.values["redis_in_bytes"] = (to.redis.in - from.redis.in) / messages
		r.values["redis_out_bytes"] = (to.redis.out - from.redis.out) / messages
	}
	if r.fanout == r.clients {
		each := deliveries / float64(len(r.servers))
		first := to.servers[0] - from.servers[0]
		others := to.server - from.server - first
		r.values["first_cpu_us"] = micros(first) / each
		r.values["others_cpu_us"] = micros(others) / (deliveries - each)
	}
}
