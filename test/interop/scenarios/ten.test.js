// Ten namespaces on one connection.

import assert from "node:assert/strict";
import { test } from "node:test";
import { noted } from "../support/control.js";
import { ask, collect, connect, connectBeside, next, settled } from "../support/client.js";

const names = Array.from({ length: 10 }, (_, i) => `/ten/${i}`);

/** Connects a client to each of the namespaces, all on one connection. */
async function everywhere(t) {
  const first = await connect(t, names[0]);
  const others = await Promise.all(names.slice(1).map((name) => connectBeside(t, first, name)));
  return [first, ...others];
}

test("SIO-CN-16 ten namespaces share a connection and nothing else", async (t) => {
  const [ada, bob] = [await everywhere(t), await everywhere(t)];
  assert.equal(new Set(ada.map((socket) => socket.io.engine)).size, 1);
  assert.equal(new Set(ada.map((socket) => socket.id)).size, names.length);
  assert.deepEqual(await Promise.all(ada.map((socket) => ask(socket, "where am I"))), names);

  // A room of the same name in each of them, and a picture among the text.
  await Promise.all(bob.map((socket) => ask(socket, "join", ["room"])));
  const heard = bob.map((socket) => collect(socket, "said"));
  const said = names.map((_, i) => [`text ${i}`, Buffer.from([i]), { image: Buffer.from("x".repeat(i)), i }]);
  await Promise.all(ada.flatMap((socket, i) => said[i].map((text) => ask(socket, "announce", { to: ["room"], text }))));
  await Promise.all(bob.map(settled));
  assert.deepEqual(heard, said);
});

test("SIO-DC-15 each of ten namespaces can be left and joined again", async (t) => {
  const sockets = await everywhere(t);
  const { engine } = sockets[0].io;
  const odd = sockets.filter((_, i) => i % 2 === 1);
  const ids = odd.map((socket) => socket.id);
  const gone = odd.map((socket) => next(socket, "disconnect"));
  odd.forEach((socket, i) => (i % 2 === 0 ? socket.emit("disconnect me") : socket.disconnect()));
  await Promise.all(gone);
  await Promise.all(ids.map((id) => noted(`leaving of ${id}`)));
  await Promise.all(sockets.filter((socket) => !odd.includes(socket)).map(settled));

  const back = odd.map((socket) => next(socket, "connect"));
  odd.forEach((socket) => socket.connect());
  await Promise.all(back);
  await Promise.all(sockets.map(settled));
  assert.equal(sockets[0].io.engine, engine);
  assert.equal(odd.some((socket) => ids.includes(socket.id)), false);
});

test("SIO-DC-2 one of ten namespaces can end them all", async (t) => {
  const sockets = await everywhere(t);
  const ids = sockets.map((socket) => socket.id);
  const gone = sockets.map((socket) => next(socket, "disconnect"));
  sockets[7].emit("close my connection");
  for (const [reason] of await Promise.all(gone)) {
    assert.equal(reason, "io server disconnect");
  }
  assert.deepEqual(
    new Set(await Promise.all(ids.map((id) => noted(`leaving of ${id}`)))),
    new Set(["server namespace disconnect"]),
  );
});
