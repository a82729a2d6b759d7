import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, collect, connect, settled } from "../support/client.js";

// Each test gets its own rooms, because all of them share the server.
let tests = 0;
const rooms = () => ({ red: `red ${++tests}`, blue: `blue ${tests}`, green: `green ${tests}` });

/** Connects a client that is in the given rooms and keeps what it hears. */
async function member(t, ...names) {
  const socket = await connect(t, "/rooms");
  await ask(socket, "join", names);
  socket.heard = collect(socket, "said");
  return socket;
}

/** Returns what each of the sockets has heard, in the order of the sockets. */
async function heard(...sockets) {
  await Promise.all(sockets.map(settled));
  return sockets.map((socket) => socket.heard);
}

test("a socket is in the room of its own id, and in those it joined", async (t) => {
  const { red, blue } = rooms();
  const socket = await member(t, red, blue);
  assert.deepEqual(await ask(socket, "rooms"), [socket.id, red, blue].sort());
  await ask(socket, "leave", [red]);
  assert.deepEqual(await ask(socket, "rooms"), [socket.id, blue].sort());
});

test("SIO-BC-5 a socket's To reaches a room without the sender", async (t) => {
  const { red } = rooms();
  const [ada, bob, eve] = [await member(t, red), await member(t, red), await member(t)];
  await ask(ada, "say", { to: [red], text: "hi" });
  assert.deepEqual(await heard(ada, bob, eve), [[], ["hi"], []]);
});

test("SIO-BC-4 a namespace's To reaches a room with the sender", async (t) => {
  const { red } = rooms();
  const [ada, bob, eve] = [await member(t, red), await member(t, red), await member(t)];
  await ask(ada, "announce", { to: [red], text: "hi" });
  assert.deepEqual(await heard(ada, bob, eve), [["hi"], ["hi"], []]);
});

test("SIO-BC-2 a socket in several of the rooms receives once", async (t) => {
  const { red, blue, green } = rooms();
  const [ada, bob, eve] = [await member(t, red, blue), await member(t, blue), await member(t, green)];
  await ask(eve, "say", { to: [red, blue], text: "both" });
  await ask(eve, "announce", { to: [red, blue, green], text: "all three" });
  const both = ["both", "all three"];
  assert.deepEqual(await heard(ada, bob, eve), [both, both, ["all three"]]);
});

test("SIO-BC-3 Except leaves out a room", async (t) => {
  const { red, blue } = rooms();
  const [ada, bob, eve] = [await member(t, red), await member(t, red, blue), await member(t, red)];
  await ask(eve, "announce", { to: [red], except: [blue], text: "not blue" });
  assert.deepEqual(await heard(ada, bob, eve), [["not blue"], [], ["not blue"]]);
});

test("SIO-BC-3 Except leaves out one socket by its id", async (t) => {
  const { red } = rooms();
  const [ada, bob, eve] = [await member(t, red), await member(t, red), await member(t, red)];
  await ask(eve, "say", { to: [red], except: [bob.id], text: "not Bob" });
  assert.deepEqual(await heard(ada, bob, eve), [["not Bob"], [], []]);
});

test("SIO-BC-5 To an id is a private message", async (t) => {
  const [ada, bob, eve] = [await member(t), await member(t), await member(t)];
  await ask(ada, "say", { to: [bob.id], text: "psst" });
  assert.deepEqual(await heard(ada, bob, eve), [[], ["psst"], []]);
});

test("SIO-BC-5 everyone but me", async (t) => {
  const [ada, bob, eve] = [await member(t), await member(t), await member(t)];
  await ask(bob, "say to others", "hi all");
  assert.deepEqual(await heard(ada, bob, eve), [["hi all"], [], ["hi all"]]);
});

test("SIO-BC-4 a room nobody is in reaches nobody", async (t) => {
  const { red, blue } = rooms();
  const [ada, bob] = [await member(t, red), await member(t)];
  await ask(ada, "announce", { to: [blue], text: "echo?" });
  assert.deepEqual(await heard(ada, bob), [[], []]);
});

test("a socket that left a room hears no more of it", async (t) => {
  const { red } = rooms();
  const [ada, bob] = [await member(t, red), await member(t, red)];
  await ask(ada, "say", { to: [red], text: "one" });
  await ask(bob, "leave", [red]);
  await ask(ada, "say", { to: [red], text: "two" });
  assert.deepEqual(await heard(bob), [["one"]]);
});

test("SIO-BC-6 a room of the same name elsewhere is another room", async (t) => {
  const { red } = rooms();
  const ada = await member(t, red);
  const stranger = await connect(t, "/other rooms");
  stranger.heard = collect(stranger, "said");
  await ask(stranger, "join", [red]);
  await ask(ada, "announce", { to: [red], text: "only here" });
  assert.deepEqual(await heard(ada, stranger), [["only here"], []]);
});

test("SIO-BC-7 binary reaches a whole room", async (t) => {
  const { red } = rooms();
  const members = [await member(t, red), await member(t, red), await member(t, red)];
  const text = { image: Buffer.from("pixels") };
  await ask(members[0], "announce", { to: [red], text });
  assert.deepEqual(await heard(...members), [[text], [text], [text]]);
});

test("SIO-EM-5 broadcasts and single events keep their order", async (t) => {
  const { red } = rooms();
  const [ada, bob] = [await member(t, red), await member(t, red)];
  await ask(ada, "announce alternately", { to: [red], count: 100 });
  const numbers = Array.from({ length: 100 }, (_, i) => i);
  const even = numbers.filter((n) => n % 2 === 0);
  assert.deepEqual(await heard(ada, bob), [numbers, even]);
});
