// What can be done to many clients at once, beside emitting to them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { noted } from "../support/control.js";
import { ask, collect, connect, connectBeside, next, settled } from "../support/client.js";

// Each test gets its own rooms, because all of them share the server.
let tests = 0;
const rooms = () => ({ red: `red ${++tests}`, blue: `blue ${tests}` });

/** Connects a client that is in the given rooms and keeps what it hears. */
async function member(t, ...names) {
  const socket = await connect(t, "/sets");
  await ask(socket, "join", names);
  socket.heard = collect(socket, "said");
  return socket;
}

test("SIO-CU-1 SIO-CU-2 the clients of a room are fetched, with their rooms and data", async (t) => {
  const { red, blue } = rooms();
  const [ada, bob] = [await member(t, red), await member(t, red, blue)];
  await member(t, blue);
  await ask(ada, "call me", "Ada");
  const described = (socket, name, ...in_) => ({
    id: socket.id, rooms: [socket.id, ...in_].sort(), favourite: name, visit: 0, recovered: false,
  });
  assert.deepEqual(
    await ask(bob, "fetch", red),
    [described(ada, "Ada", red), described(bob, "", red, blue)].sort((a, b) => (a.id < b.id ? -1 : 1)),
  );
  assert.deepEqual(await ask(bob, "fetch", ada.id), [described(ada, "Ada", red)]);
  assert.deepEqual(await ask(bob, "fetch", "nobody"), []);
});

test("SIO-CU-3 all clients of a room join another one, and leave it", async (t) => {
  const { red, blue } = rooms();
  const [ada, bob, eve] = [await member(t, red), await member(t, red), await member(t)];
  const announce = (text) => ask(eve, "announce", { to: [blue], text });
  await ask(eve, "join all", red, blue);
  await announce("welcome");
  assert.deepEqual(await ask(ada, "rooms"), [ada.id, red, blue].sort());
  await ask(eve, "leave all", ada.id, blue);
  await announce("Ada has left");
  await ask(eve, "leave all", red, blue);
  await announce("nobody is left");
  await Promise.all([ada, bob, eve].map(settled));
  assert.deepEqual([ada, bob, eve].map((socket) => socket.heard), [["welcome"], ["welcome", "Ada has left"], []]);
});

test("SIO-CU-4 all clients of a room are disconnected, after they got what was emitted before", async (t) => {
  const { red } = rooms();
  const [ada, bob, eve] = [await member(t, red), await member(t, red), await member(t)];
  const root = await connectBeside(t, ada, "/");
  const ids = [ada.id, bob.id];
  const gone = [next(ada, "disconnect"), next(bob, "disconnect")];
  await ask(eve, "disconnect all", red);
  for (const [reason] of await Promise.all(gone)) {
    assert.equal(reason, "io server disconnect");
  }
  for (const id of ids) {
    assert.equal(await noted(`leaving of ${id}`), "server namespace disconnect");
  }
  assert.deepEqual([ada, bob, eve].map((socket) => socket.heard), [["goodbye"], ["goodbye"], []]);
  await Promise.all([settled(root), settled(eve)]);
});

test("SIO-CU-3 all clients of a room lose their connections", async (t) => {
  const { red } = rooms();
  const [ada, bob, eve] = [await member(t, red), await member(t, red), await member(t)];
  const root = await connectBeside(t, ada, "/");
  const gone = [ada, bob, root].map((socket) => next(socket, "disconnect"));
  await ask(eve, "close all", red);
  for (const [reason] of await Promise.all(gone)) {
    assert.equal(reason, "io server disconnect");
  }
  await settled(eve);
});
