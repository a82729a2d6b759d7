// Servers of the official packages, each with connections to Redis or PostgreSQL of its own.
import { createServer } from "node:http";
import { createAdapter as createPostgresAdapter } from "@socket.io/postgres-adapter";
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { createAdapter as createStreamsAdapter } from "@socket.io/redis-streams-adapter";
import pg from "pg";
import { createClient } from "redis";
import { Server } from "socket.io";
import { tell } from "./tell.js";
import { fromWire, target, toWire } from "./values.js";

const servers = new Map();

const adapters = {
  classic: (pub, sub, options) => createAdapter(pub, sub, options),
  sharded: (pub, sub, options) => createShardedAdapter(pub, sub, options),
  streams: (pub, _sub, options) => createStreamsAdapter(pub, options),
  postgres: (pool, _sub, options) => createPostgresAdapter(pool, options),
};

export function run(command) {
  const operation = operations[command.op];
  if (!operation) throw new Error(`unknown operation of a server: ${command.op}`);
  return operation(command, servers.get(command.name));
}

const operations = {
  async start({ name, adapter, options, redis, postgres, namespaces, recovery }) {
    const connect = async () => {
      const client = createClient({ url: redis });
      client.on("error", (err) => tell({ note: "redis", server: name, error: String(err) }));
      await client.connect();
      return client;
    };
    // One connection listens. With more than one besides, messages of a server change their order (CAP-F-10).
    const pool = () => new pg.Pool({ connectionString: postgres, max: 2 });
    const [pub, sub] = postgres ? [pool()] : [await connect(), await connect()];
    const http = createServer();
    const io = new Server(http, {
      adapter: adapters[adapter](pub, sub, options ?? {}),
      connectionStateRecovery: recovery ? {} : undefined,
    });
    for (const namespace of namespaces) listen(name, io.of(namespace));
    servers.set(name, { io, end: () => Promise.all(postgres ? [pub.end()] : [pub.close(), sub.close()]) });
    await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
    return { port: http.address().port };
  },

  async stop({ name }, { io, end }) {
    servers.delete(name);
    await io.close();
    await end();
  },

  emit(command, { io }) {
    target(io.of(command.ns), command).emit(...fromWire(command.args));
  },

  // The clients of other servers than the socket's, and those of its own, without it.
  emitFrom(command, { io }) {
    target(io.of(command.ns).sockets.get(command.socket).broadcast, command).emit(...fromWire(command.args));
  },

  ask(command, { io }) {
    const [event, ...args] = fromWire(command.args);
    const b = target(io.of(command.ns).timeout(command.timeout), command);
    return new Promise((resolve) =>
      b.emit(event, ...args, (err, values) => resolve({ values: toWire(values), failed: String(err ?? "") })),
    );
  },

  async fetch(command, { io }) {
    const sockets = await target(io.of(command.ns), command).fetchSockets();
    return {
      sockets: sockets.map(({ id, rooms, data, handshake }) => ({
        id,
        rooms: [...rooms].map(String),
        data,
        handshake: { ...handshake, headers: { ...handshake.headers } },
      })),
    };
  },

  // What a RemoteSocket of another server is told.
  async remote(command, { io }) {
    const [socket] = await io.of(command.ns).in(command.socket).fetchSockets();
    if (command.rooms) {
      for (const room of command.rooms) await socket[command.method](room);
    } else if (command.method === "emit") socket.emit(...fromWire(command.args));
    else socket.disconnect(command.close);
  },

  join: (command, { io }) => target(io.of(command.ns), command).socketsJoin(command.rooms),
  leave: (command, { io }) => target(io.of(command.ns), command).socketsLeave(command.rooms),
  disconnect: (command, { io }) => target(io.of(command.ns), command).disconnectSockets(command.close),

  serverEmit(command, { io }) {
    io.of(command.ns).serverSideEmit(...fromWire(command.args));
  },

  serverAsk(command, { io }) {
    return new Promise((resolve) =>
      io.of(command.ns).serverSideEmit(...fromWire(command.args), (err, values) =>
        resolve({ values: toWire(values), failed: String(err ?? "") }),
      ),
    );
  },

  async allRooms(command, { io }) {
    return { rooms: [...(await io.of(command.ns).adapter.allRooms())].map(String) };
  },

  async count(command, { io }) {
    return { count: await io.of(command.ns).adapter.serverCount() };
  },
};

// listen has what Go servers do as well: see goserver_test.go.
function listen(server, namespace) {
  namespace.on("connection", (socket) => {
    if (socket.recovered) return;
    socket.data.name = socket.handshake.auth.name;
    socket.join(socket.handshake.auth.rooms ?? []);
  });
  namespace.on("told", (...args) =>
    tell({ note: "server", server, ns: namespace.name, args: ["told", ...toWire(args)] }),
  );
  namespace.on("asked", (...args) => {
    const answer = args.pop();
    if (args[0] !== `not ${server}`) answer({ server, got: args });
  });
}
