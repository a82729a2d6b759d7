// The JavaScript server with default options, and the handlers of bench/server.
// Run with --expose-gc, so that /bench/gc can collect garbage. With --adapter and
// --redis it is one of the servers of a cluster.
import { createServer } from "node:http";
import { PerformanceObserver } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { Server } from "socket.io";

let collections = 0;
new PerformanceObserver((list) => (collections += list.getEntries().length)).observe({ entryTypes: ["gc"] });

const http = createServer((req, res) => {
  if (req.url === "/bench/collections") {
    res.end(String(collections));
    return;
  }
  if (req.url !== "/bench/gc") {
    res.writeHead(404).end();
    return;
  }
  for (let i = 0; i < 3; i++) globalThis.gc();
  res.end(JSON.stringify(process.memoryUsage()));
});

const {
  values: { adapter, redis },
  positionals: [port],
} = parseArgs({ options: { adapter: { type: "string" }, redis: { type: "string" } }, allowPositionals: true });

// What only a cluster needs is not loaded without one.
async function cluster() {
  const { createClient } = await import("redis");
  const { createAdapter, createShardedAdapter } = await import("@socket.io/redis-adapter");
  const streams = await import("@socket.io/redis-streams-adapter");
  const connect = () => {
    const client = createClient({ url: `redis://${redis}` });
    client.on("error", (err) => console.error("redis:", err));
    return client.connect();
  };
  switch (adapter) {
    case "classic":
      return createAdapter(await connect(), await connect());
    case "sharded":
      return createShardedAdapter(await connect(), await connect());
    case "streams":
      return streams.createAdapter(await connect());
    default:
      throw new Error(`unknown --adapter ${adapter}`);
  }
}

const io = new Server(http, adapter ? { adapter: await cluster() } : {});

function burst(to, n, size) {
  const pad = "x".repeat(size);
  for (let i = 0; i < n; i++) to.emit("b", i, pad);
}

io.on("connection", (socket) => {
  socket.on("echo", (s) => socket.emit("echo", s));
  socket.on("echoAck", (s, ack) => ack(s));
  socket.on("bin", (b) => socket.emit("bin", b));
  socket.on("json", (o) => socket.emit("json", o));
  socket.on("join", (room, ack) => {
    socket.join(room);
    ack();
  });
  socket.on("bcast", (n, size) => burst(io, n, size));
  socket.on("room", (room, n, size) => burst(io.to(room), n, size));
  socket.on("servers", async (ack) => ack(await io.of("/").adapter.serverCount()));
});

http.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
