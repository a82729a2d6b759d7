package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"

	"github.com/sioplug/sioplug/adapters/cluster"
	natsadapter "github.com/sioplug/sioplug/adapters/nats"
	postgresadapter "github.com/sioplug/sioplug/adapters/postgres"
	redisadapter "github.com/sioplug/sioplug/adapters/redis"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/postgrestest"
	"github.com/sioplug/sioplug/internal/redistest"
)

// A broker is what a cluster runs over, in processes of its own. It ends with the test.
type broker interface {
	addr() string
	kill()               // at once
	restart()            // on the same address; returns when it is ready
	hang() (goOn func()) // in the middle of what it does, with its connections
}

// An adapterKind is one of the adapters under test.
type adapterKind string

const (
	classic    adapterKind = "Redis, classic"
	sharded    adapterKind = "Redis, sharded"
	streams    adapterKind = "Redis, streams"
	recovery   adapterKind = "Redis, streams with recovery"
	coreNATS   adapterKind = "NATS"
	jetStream  adapterKind = "NATS, JetStream with recovery"
	postgreSQL adapterKind = "PostgreSQL"
)

func adapterKinds() []adapterKind {
	return []adapterKind{classic, sharded, streams, recovery, coreNATS, jetStream, postgreSQL}
}

// start starts the broker of an adapter.
func (k adapterKind) start(t *testing.T) broker {
	t.Helper()
	switch k {
	case coreNATS, jetStream:
		return startNATS(t)
	case postgreSQL:
		return postgresBroker{postgrestest.Start(t)}
	case classic, sharded, streams, recovery:
		fallthrough
	default:
		return redisBroker{redistest.Start(t)}
	}
}

// options returns the options of a server whose broker is at addr. end ends its connections.
func (k adapterKind) options(addr string, o cluster.Options) (opts *sio.Options, end func(), err error) {
	switch k {
	case coreNATS, jetStream:
		return k.natsOptions(addr, o)
	case postgreSQL:
		pool, err := pgxpool.New(context.Background(), "postgres://postgres@"+addr+"/postgres?sslmode=disable")
		if err != nil {
			return nil, nil, err
		}
		return &sio.Options{Adapter: postgresadapter.New(pool, postgresadapter.Options{Options: o})}, pool.Close, nil
	case classic, sharded, streams, recovery:
		fallthrough
	default:
		opts, end = k.redisOptions(addr, o)
		return opts, end, nil
	}
}

func (k adapterKind) redisOptions(addr string, o cluster.Options) (opts *sio.Options, end func()) {
	client := redis.NewClient(&redis.Options{Addr: addr})
	opts = &sio.Options{}
	switch k {
	case classic:
		opts.Adapter = redisadapter.Classic(client, redisadapter.ClassicOptions{Options: o})
	case sharded:
		opts.Adapter = redisadapter.Sharded(client, redisadapter.ShardedOptions{Options: o})
	case streams, recovery, coreNATS, jetStream, postgreSQL:
		fallthrough
	default:
		opts.Adapter = redisadapter.Streams(client, redisadapter.StreamsOptions{Options: o, MaxLen: 100_000})
	}
	if k == recovery {
		opts.ConnectionStateRecovery = &sio.Recovery{}
	}
	return opts, func() { _ = client.Close() }
}

// natsOptions connects as docs/clustering.md does.
func (k adapterKind) natsOptions(addr string, o cluster.Options) (opts *sio.Options, end func(), err error) {
	closed := make(chan struct{})
	once := sync.OnceFunc(func() { close(closed) })
	nc, err := nats.Connect("nats://"+addr, nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.PingInterval(10*time.Second),
		nats.ReconnectWait(200*time.Millisecond), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
		nats.ClosedHandler(func(*nats.Conn) { once() }))
	if err != nil {
		return nil, nil, err
	}
	end = func() {
		nc.Close()
		<-closed
	}
	if k == coreNATS {
		return &sio.Options{Adapter: natsadapter.New(nc, natsadapter.Options{Options: o})}, end, nil
	}
	return &sio.Options{
		Adapter: natsadapter.NewJetStream(nc, natsadapter.JetStreamOptions{Options: o}), ConnectionStateRecovery: &sio.Recovery{},
	}, end, nil
}

type redisBroker struct{ *redistest.Server }

func (b redisBroker) addr() string        { return b.Addr }
func (b redisBroker) kill()               { b.Kill() }
func (b redisBroker) restart()            { b.Restart() }
func (b redisBroker) hang() (goOn func()) { return b.Hang() }

type postgresBroker struct{ *postgrestest.Server }

func (b postgresBroker) addr() string        { return b.Addr }
func (b postgresBroker) kill()               { b.Stop() }
func (b postgresBroker) restart()            { b.Restart() }
func (b postgresBroker) hang() (goOn func()) { return b.Hang() }

// natsEnv has the settings of a server of NATS in a process of its own: this program, started again.
const natsEnv = "SIOPLUG_FAULTS_NATS"

// A natsBroker is a server of NATS with JetStream, in a process that can be killed and stopped.
type natsBroker struct {
	t    *testing.T
	Port int
	Dir  string

	cmd *exec.Cmd
}

func startNATS(t *testing.T) *natsBroker {
	t.Helper()
	b := &natsBroker{t: t, Dir: t.TempDir()}
	t.Cleanup(b.kill)
	const attempts = 20
	for range attempts {
		// Below the range that systems take the ports of outgoing connections from.
		if b.Port = 20_000 + rand.IntN(10_000); b.run() {
			return b
		}
	}
	t.Fatal("NATS does not start")
	return nil
}

func (b *natsBroker) addr() string { return fmt.Sprintf("127.0.0.1:%d", b.Port) }

func (b *natsBroker) restart() {
	b.t.Helper()
	if !b.run() {
		b.t.Fatal("NATS does not start again")
	}
}

// run starts the process. It reports whether NATS answers, which it does not if the port is taken.
func (b *natsBroker) run() bool {
	b.t.Helper()
	text, err := json.Marshal(b)
	if err != nil {
		b.t.Fatal(err)
	}
	cmd, ready := command(b.t, natsEnv+"="+string(text)), make([]byte, len(natsReady))
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.cmd = cmd
	n, _ := out.Read(ready) // nothing, if the process ends
	if string(ready[:n]) != natsReady {
		b.kill()
		return false
	}
	return true
}

func (b *natsBroker) kill() {
	if b.cmd != nil {
		_ = b.cmd.Process.Kill()
		_ = b.cmd.Wait()
		b.cmd = nil
	}
}

// natsReady is what the process says when clients can connect.
const natsReady = "ready"

// runNATS is a server of NATS until its process is killed.
func runNATS() {
	var b natsBroker
	err := json.Unmarshal([]byte(os.Getenv(natsEnv)), &b)
	if err == nil { // NATS would wait for a port that is taken
		var l net.Listener
		if l, err = net.Listen("tcp", b.addr()); err == nil {
			err = l.Close()
		}
	}
	var srv *natsserver.Server
	if err == nil {
		srv, err = natsserver.NewServer(&natsserver.Options{
			Host: "127.0.0.1", Port: b.Port, NoSigs: true, NoLog: true, JetStream: true, StoreDir: b.Dir,
			JetStreamMaxMemory: 1 << 30, JetStreamMaxStore: 1 << 30,
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	srv.Start()
	if srv.ReadyForConnections(time.Minute) {
		fmt.Print(natsReady)
	}
	time.Sleep(10 * time.Minute) // nobody needs it for longer
}

// command returns a command that runs this program again.
func command(t *testing.T, env string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program)
	cmd.Env = append(os.Environ(), env)
	cmd.Stderr = t.Output()
	return cmd
}
