// A second server of the same application, on another path, speaks MessagePack.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import parser from "socket.io-msgpack-parser";
import { network, reconnecting } from "../support/network.js";
import { ask, collect, connect, connectBeside, mode, next, open, settled, upgraded } from "../support/client.js";

const packed = { path: "/packed/", parser };
const usual = {};

const values = {
  "text": ["", "é€😀", "x".repeat(100_000)],
  "numbers": [0, -1, 1.5, 2 ** 31, -(2 ** 31) - 1, 2 ** 53 - 1, 1e-300], // the parser writes larger whole numbers wrong
  "constants": [true, false, null],
  "nesting": { a: [{ b: { c: [[], {}, [null]] } }], "": "an empty key" },
  "binary": { image: randomBytes(70_000), list: [Buffer.alloc(0), { deep: Buffer.from("deep") }] },
  "many buffers": Array.from({ length: 500 }, (_, i) => Buffer.from([i % 256])),
  "what looks like a placeholder": [{ _placeholder: true, num: 0 }, Buffer.from("beside"), { _placeholder: true, num: 5, x: [{ _placeholder: true }] }],
};

for (const [name, value] of Object.entries(values)) {
  test(`ECO-MP values arrive as they were: ${name}`, async (t) => {
    const socket = await connect(t, "/", packed);
    const echo = next(socket, "echo");
    socket.emit("echo", value);
    assert.deepEqual((await echo)[0], value); // behind it is an offset, for recovery
    assert.deepEqual(await ask(socket, "mirror", value), { mirrored: value });
  });
}

test("ECO-MP the server sends any number of binary values", async (t) => {
  const socket = await connect(t, "/", packed);
  const got = next(socket, "pictures");
  assert.equal(await ask(socket, "pictures", 200), "sent");
  assert.deepEqual((await got)[0], Array.from({ length: 200 }, (_, i) => Buffer.from([i])));
});

test("ECO-MP a Go struct with bytes in it is sent and received whole", async (t) => {
  const socket = await connect(t, "/", packed);
  const picture = { name: "cat.png", image: Buffer.from("meow"), thumbnails: [Buffer.from("mew")] };
  const returned = next(socket, "picture");
  socket.emit("picture", picture);
  assert.deepEqual((await returned)[0], { ...picture, name: "copy of cat.png" });
});

test("ECO-MP both sides ask and answer", async (t) => {
  const socket = await connect(t, "/", packed);
  socket.on("question", (n, answer) => answer(n * n));
  assert.equal(await ask(socket, "ask me", 12), 144);
  const answers = await new Promise((resolve) => socket.emit("answer with three", (...args) => resolve(args)));
  assert.deepEqual(answers, [1, "two", Buffer.from("three")]);
});

test("ECO-MP namespaces, refusals and errors", async (t) => {
  const root = await connect(t, "/", packed);
  const chat = await connectBeside(t, root, "/chat", { auth: { name: "Ada" } });
  assert.equal(await ask(chat, "name"), "Ada");
  const members = open(t, "/members", { ...packed, auth: { token: "stolen" } });
  const [error] = await next(members, "connect_error");
  assert.equal(error.message, "not authorized");
  assert.deepEqual(error.data, { code: "E001", retry: false });
  const [unknown] = await next(open(t, "/nowhere", packed), "connect_error");
  assert.equal(unknown.message, "Invalid namespace");
  const failed = await connect(t, "/errors", packed);
  assert.deepEqual(await ask(failed, "fail for the client"), {
    error: { message: "out of stock", data: { left: 0, image: Buffer.from("sad") } },
  });
  chat.disconnect();
  await settled(root);
});

test("ECO-MP broadcasts reach a room, in order, text and binary", async (t) => {
  const sockets = await Promise.all([0, 1, 2].map(() => connect(t, "/rooms", packed)));
  const heard = sockets.map((socket) => collect(socket, "said"));
  await Promise.all(sockets.map((socket) => ask(socket, "join", ["all"])));
  const said = Array.from({ length: 50 }, (_, i) => (i % 2 ? Buffer.from([i]) : `text ${i}`));
  for (const text of said) {
    await ask(sockets[0], "announce", { to: ["all"], text });
    if (mode === "upgrade" && text === said[10]) {
      await Promise.all(sockets.map(upgraded));
    }
  }
  await Promise.all(sockets.map(settled));
  assert.deepEqual(heard, [said, said, said]);
});

test("ECO-MP the two servers are two", async (t) => {
  const [ada, bob] = [await connect(t, "/rooms", packed), await connect(t, "/rooms", usual)];
  const heard = [collect(ada, "said"), collect(bob, "said")];
  await Promise.all([ada, bob].map((socket) => ask(socket, "join", ["room"])));
  await ask(ada, "announce", { to: ["room"], text: "packed" });
  await ask(bob, "announce", { to: ["room"], text: "usual" });
  await Promise.all([ada, bob].map(settled));
  assert.deepEqual(heard, [["packed"], ["usual"]]);
});

test("ECO-MP a client with the wrong parser is disconnected, and nobody else", async (t) => {
  const witnesses = [await connect(t, "/", packed), await connect(t, "/", usual)];
  for (const wrong of [{ path: "/packed/" }, { parser }]) {
    const socket = open(t, "/", wrong);
    const [reason] = await next(socket.io, "close");
    assert.equal(reason, "transport close");
    assert.equal(socket.connected, false);
  }
  await Promise.all(witnesses.map(settled));
});

test("ECO-MP a client whose connection was cut has missed nothing", async (t) => {
  const net = await network(t);
  const ada = await connect(t, "/visits", { ...packed, ...reconnecting, base: net.base });
  const bob = await connect(t, "/visits", packed);
  const news = collect(ada, "news");
  await ask(ada, "settle in", "tea", ["packed news"]);
  if (mode === "upgrade") {
    await upgraded(ada);
    await settled(ada);
  }
  const { id } = ada;
  const gone = next(ada, "disconnect");
  net.cut();
  await gone;
  const values = [1, Buffer.from("two"), { three: [Buffer.from("3")] }];
  await ask(bob, "tell", { to: ["packed news"], values });
  const back = next(ada, "connect");
  net.mend();
  await back;
  await settled(ada);
  assert.equal(ada.recovered, true);
  assert.equal(ada.id, id);
  assert.deepEqual(news, values);
});
