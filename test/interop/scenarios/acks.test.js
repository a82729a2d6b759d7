import assert from "node:assert/strict";
import { test } from "node:test";
import { noted } from "../support/control.js";
import { ask, connect, next, settled } from "../support/client.js";

test("SIO-EM-8 the server answers an event", async (t) => {
  const socket = await connect(t);
  assert.equal(await ask(socket, "double", 21), 42);
});

test("SIO-EM-8 an answer may have no value, or several", async (t) => {
  const socket = await connect(t);
  const answer = (event) => new Promise((resolve) => socket.emit(event, (...args) => resolve(args)));
  assert.deepEqual(await answer("answer nothing"), []);
  assert.deepEqual(await answer("answer twice"), ["once"]);
  assert.deepEqual(await answer("answer with three"), [1, "two", Buffer.from("three")]);
});

test("SIO-ENC-5 nested binary in the server's answer", async (t) => {
  const socket = await connect(t);
  const value = { list: [Buffer.from("a"), { deep: Buffer.from("b") }], note: "c" };
  assert.deepEqual(await ask(socket, "mirror", value), { mirrored: value });
});

test("SIO-EM-11 the client answers the server", async (t) => {
  const socket = await connect(t);
  socket.on("question", (n, answer) => answer(n * n));
  assert.equal(await ask(socket, "ask me", 12), 144);
});

test("SIO-ENC-5 nested binary in the client's answer", async (t) => {
  const socket = await connect(t);
  const picture = { name: "cat.png", image: Buffer.from("meow"), thumbnails: [Buffer.from("mew")] };
  socket.on("picture, please", (answer) => answer(picture));
  assert.deepEqual(await ask(socket, "ask me for a picture"), picture);
});

test("SIO-EM-12 answers find their questions in any order", async (t) => {
  const socket = await connect(t);
  const pending = [];
  socket.on("question", (n, answer) => {
    pending.push(() => answer(n * n));
    if (pending.length === 20) {
      pending.reverse().forEach((reply) => reply());
    }
  });
  const squares = Array.from({ length: 20 }, (_, n) => n * n);
  assert.deepEqual(await ask(socket, "ask me often", 20), squares);
});

test("SIO-EM-10 a client that does not answer ends the server's wait at its deadline", async (t) => {
  const socket = await connect(t);
  const question = next(socket, "question");
  assert.equal(await ask(socket, "ask me briefly"), "deadline exceeded");

  const [, answer] = await question;
  answer("too late");
  await settled(socket);
});

test("SIO-DC-16 a client that leaves ends the server's wait at once", async (t) => {
  const socket = await connect(t);
  const { id } = socket;
  const question = next(socket, "question");
  socket.emit("ask me at leisure");
  await question;
  socket.disconnect();
  assert.equal(await noted(`answer of ${id}`), "disconnected");
});

test("a lost connection ends the server's wait at once", async (t) => {
  const socket = await connect(t);
  const { id } = socket;
  const question = next(socket, "question");
  socket.emit("ask me at leisure");
  await question;
  socket.io.engine.close();
  assert.equal(await noted(`answer of ${id}`), "disconnected");
});
