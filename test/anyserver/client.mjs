// Official clients in a cluster without sticky sessions. The arguments are the folder that has
// the client installed, the URL, how many clients connect in each way, and the only way if there is one. Each sends 1,000
// messages, 20 before it waits for answers, and gets 1,000. When a server has been killed, its clients connect again, and do the same.

import assert from "node:assert/strict";
import { Agent } from "node:http";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [folder, url, number, way] = process.argv.slice(2);
const { io } = createRequire(folder + "/")("socket.io-client");

const next = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));
const ways = way ? [way.split(",")] : [["polling"], ["polling", "websocket"], ["websocket"]];
const clients = [];

async function connect(transports) {
  // Each request has a connection of its own, and so may come to another server.
  const agent = new Agent({ keepAlive: false });
  const socket = io(url, { transports, agent, forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 500 });
  const client = { socket, transports, got: [], lost: 0 };
  socket.on("message", (n) => client.got.push(n));
  socket.on("disconnect", () => {
    client.lost++;
    client.lostAt ??= performance.now();
  });
  const upgraded = () => transports.length > 1 && next(socket.io.engine, "upgrade");
  socket.io.on("open", () => (client.upgraded = upgraded()));
  await next(socket, "connect");
  await client.upgraded;
  assert.equal(socket.io.engine.transport.name, transports.at(-1));
  client.server = await socket.emitWithAck("server");
  clients.push(client);
}

// exchange sends messages in order and gets messages in order, none lost or doubled. The server
// knows the number of the last one.
async function exchange(client, messages, together) {
  const { socket } = client;
  client.got = [];
  const from = await socket.emitWithAck("last");
  const all = Array.from({ length: messages }, (_, i) => from + i + 1);
  for (let n = 0; n < messages; n += together) {
    const some = all.slice(n, n + together);
    const acks = some.map((n) => socket.timeout(60000).emitWithAck("up", n));
    socket.emit("down", from + n, together);
    assert.deepEqual(await Promise.all(acks), some);
  }
  while (client.got.length < messages) await next(socket, "message");
  assert.deepEqual(client.got, all);
}

async function broadcast(text) {
  const heard = clients.map(({ socket }) => next(socket, "said"));
  clients[0].socket.emit("all", text);
  assert.deepEqual(await Promise.all(heard), clients.map(() => text));
}

const commands = {
  async start() {
    await Promise.all(ways.flatMap((way) => Array.from({ length: Number(number) }, () => connect(way))));
    await Promise.all(clients.map((c) => exchange(c, 1000, 20)));
    await broadcast("hello");
    assert.equal(clients.reduce((sum, c) => sum + c.lost, 0), 0);
    return [...new Set(clients.map((c) => c.server))].sort().join(" ");
  },
  // One client sends many messages, and gets as many.
  async many(messages, together) {
    const begin = performance.now();
    await exchange(clients[0], Number(messages), Number(together));
    assert.equal(clients[0].lost, 0);
    assert.equal(clients[0].socket.io.engine.transport.name, "polling");
    return `${messages} ${Math.round(performance.now() - begin)}`;
  },
  // A server was killed: its clients, and those whose requests it passed on, connect again.
  async killed(server) {
    const killedAt = performance.now();
    const theirs = clients.filter((c) => c.server === server);
    assert.ok(theirs.length > 0);
    await Promise.all(theirs.map(async (c) => {
      while (c.lost === 0 || !c.socket.connected) await next(c.socket, "connect");
    }));
    const noticed = Math.max(...theirs.map((c) => c.lostAt - killedAt)); // the last one that has noticed
    await new Promise((resolve) => setTimeout(resolve, 500)); // others may be about to notice
    await Promise.all(clients.map(async (c) => {
      if (!c.socket.connected) await next(c.socket, "connect");
      await c.upgraded;
      c.server = await c.socket.timeout(60000).emitWithAck("server");
      assert.notEqual(c.server, server);
    }));
    await Promise.all(clients.filter((c) => c.lost > 0).map((c) => exchange(c, 1000, 20)));
    await broadcast("still here");
    return `${theirs.length} of ${clients.filter((c) => c.lost > 0).length} after ${Math.round(noticed)} ms`;
  },
  async stop() {
    clients.forEach(({ socket }) => socket.disconnect());
    return "stopped";
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...args] = line.split(" ");
  console.log(name, await commands[name](...args));
}
process.exit(); // connections of the agents may still be open
