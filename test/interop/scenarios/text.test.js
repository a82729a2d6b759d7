import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, connect, next, settled } from "../support/client.js";

const texts = {
  "plain text": "hello",
  "no text at all": "",
  "several scripts": "Žluťoučký kůň, 日本語, Ελληνικά, עברית, العربية",
  "characters of several code points": "👩‍🚀 🏳️‍🌈 👍🏽 é e\u0301",
  "what HTML and JavaScript escape": "<b>&amp;</b> \u2028\u2029 \"'\\/",
  "what the protocols use as separators": "\u0000 \u001e 42[\"a\"] b4 1-2,3",
};

for (const [name, text] of Object.entries(texts)) {
  test(`SIO-EM-17 text both ways: ${name}`, async (t) => {
    const socket = await connect(t);
    const echo = next(socket, "echo");
    socket.emit("echo", text);
    assert.deepEqual(await echo, [text]);
  });
}

const values = {
  "numbers": [0, -1, 1.5, 1e21, Number.MAX_SAFE_INTEGER],
  "constants": [true, false, null],
  "nesting": { a: [{ b: { c: [[], {}, [null]] } }], "": "an empty key" },
};

for (const [name, value] of Object.entries(values)) {
  test(`SIO-ENC-4 JSON both ways: ${name}`, async (t) => {
    const socket = await connect(t);
    const echo = next(socket, "echo");
    socket.emit("echo", value);
    assert.deepEqual(await echo, [value]);
  });
}

test("SIO-ENC-8 what JSON does not know becomes null or is left out", async (t) => {
  const socket = await connect(t);
  const echo = next(socket, "echo");
  socket.emit("echo", [undefined, NaN, { gone: undefined, date: new Date(0) }]);
  assert.deepEqual(await echo, [[null, null, { date: "1970-01-01T00:00:00.000Z" }]]);
});

test("SIO-EM-9 several arguments arrive in their places", async (t) => {
  const socket = await connect(t);
  const swapped = next(socket, "swap");
  socket.emit("swap", "left", 7);
  assert.deepEqual(await swapped, [7, "left"]);
});

test("an event may have no argument", async (t) => {
  const socket = await connect(t);
  const echo = next(socket, "no argument");
  socket.emit("no argument");
  assert.deepEqual(await echo, []);
});

test("SIO-EM-4 send is an event named message", async (t) => {
  const socket = await connect(t);
  const message = next(socket, "message");
  socket.send("hello");
  assert.deepEqual(await message, ["hello"]);
});

test("an event nobody registered disturbs nobody", async (t) => {
  const socket = await connect(t);
  socket.emit("no such event", 1, Buffer.from([1]));
  await settled(socket);
});

test("SIO-CN-17 events emitted before the connection is there arrive after it", async (t) => {
  const socket = await connect(t);
  socket.disconnect();
  const echo = next(socket, "echo");
  socket.emit("echo", "early");
  socket.connect();
  assert.deepEqual(await echo, ["early"]);
  assert.equal(await ask(socket, "double", 1), 2);
});

test("half of a surrogate pair, which UTF-8 does not have, becomes a replacement character", async (t) => {
  const socket = await connect(t);
  const echo = next(socket, "echo");
  socket.emit("echo", "a\ud800b");
  assert.deepEqual(await echo, ["a\ufffdb"]);
});

test("SIO-EM-17 names may be in any script", async (t) => {
  const socket = await connect(t);
  const events = [];
  socket.onAny((name, ...args) => events.push([name, ...args]));
  await ask(socket, "emit", "Žluťoučký 🐎", "kůň");
  assert.deepEqual(events, [["Žluťoučký 🐎", "kůň"]]);
});
