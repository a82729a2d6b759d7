// Namespaces that clients bring about.

import assert from "node:assert/strict";
import { test } from "node:test";
import { noted } from "../support/control.js";
import { ask, collect, connect, connectBeside, next, open, openBeside, settled } from "../support/client.js";

// Each test gets its own namespaces, because all of them share the server.
let tests = 0;
const child = () => `/child-${++tests}`;

const ended = (name) => noted(`end of ${name}`);

async function refused(socket) {
  const [error] = await next(socket, "connect_error");
  assert.equal(socket.connected, false);
  return error.message;
}

test("SIO-DY-1 SIO-DY-2 a name that matches a pattern is a namespace", async (t) => {
  const [one, two] = [child(), child()];
  const ada = await connect(t, one);
  const bob = await connectBeside(t, ada, two);
  assert.deepEqual([await ask(ada, "where am I"), await ask(bob, "where am I")], [one, two]);
  assert.equal(await refused(open(t, "/child-")), "Invalid namespace");
  assert.equal(await refused(openBeside(t, ada, `${one}?x=1`)), "Invalid namespace");
  await settled(ada);
});

test("SIO-DY-10 a function decides by name and auth payload", async (t) => {
  const ada = await connect(t, "/secret garden", { auth: { name: "garden" } });
  assert.equal(await ask(ada, "where am I"), "/secret garden");
  assert.equal(await refused(open(t, "/secret cellar", { auth: { name: "attic" } })), "Invalid namespace");
  assert.equal(await refused(open(t, "/secret cellar")), "Invalid namespace");
});

test("SIO-DY-3 SIO-DY-5 children are apart, and a broadcast to their parent reaches all", async (t) => {
  const [one, two] = [child(), child()];
  const [ada, bob, eve] = [await connect(t, one), await connect(t, one), await connect(t, two)];
  const heard = [ada, bob, eve].map((socket) => collect(socket, "said"));
  await Promise.all([bob, eve].map((socket) => ask(socket, "join", ["room"])));
  await ask(ada, "announce", { to: ["room"], text: "here" });
  await ask(ada, "announce to all children", { to: ["room"], text: "everywhere" });
  await ask(ada, "announce to all children", { text: { image: Buffer.from("everybody") } });
  await Promise.all([ada, bob, eve].map(settled));
  const everybody = { image: Buffer.from("everybody") };
  assert.deepEqual(heard, [[everybody], ["here", "everywhere", everybody], ["everywhere", everybody]]);
});

test("SIO-DY-4 clients that race for a name meet in one namespace", async (t) => {
  const name = child();
  const sockets = await Promise.all(Array.from({ length: 10 }, () => connect(t, name)));
  const heard = sockets.map((socket) => next(socket, "said"));
  await ask(sockets[0], "announce", { text: "all of us" });
  assert.deepEqual(await Promise.all(heard), sockets.map(() => ["all of us"]));
  assert.equal(await ask(sockets[0], "born"), 1);
});

test("SIO-CC-1 SIO-CC-2 a child ends with its last client, and comes again", async (t) => {
  const name = child();
  const [ada, bob] = [await connect(t, name), await connect(t, name)];
  ada.disconnect();
  await settled(bob);
  assert.equal(await ask(bob, "born"), 1);
  bob.io.engine.close(); // without goodbye
  await ended(name);
  const eve = await connect(t, name);
  assert.equal(await ask(eve, "born"), 2);
});

test("SIO-CC-1 SIO-CC-4 a client that is refused leaves no child behind, unless others are there", async (t) => {
  const name = child();
  const unwelcome = () => open(t, name, { auth: { unwelcome: true } });
  assert.equal(await refused(unwelcome()), "unwelcome");
  await ended(name);
  const ada = await connect(t, name);
  assert.equal(await ask(ada, "born"), 2);
  assert.equal(await refused(unwelcome()), "unwelcome");
  assert.equal(await ask(ada, "born"), 2);
});
