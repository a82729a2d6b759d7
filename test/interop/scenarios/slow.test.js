// Middleware that takes its time.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, connect, connectBeside, mode, next, open, openBeside, settled, upgraded } from "../support/client.js";

const slow = "/unhurried";
const numbers = Array.from({ length: 40 }, (_, i) => i);

test("SIO-EM-6 slow middleware does not reorder the events of a client", async (t) => {
  const socket = await connect(t, slow);
  for (const n of numbers) {
    socket.emit("number", n);
  }
  assert.deepEqual(await ask(socket, "numbers"), numbers);
});

test("SIO-EM-6 nor their acknowledgements, nor during an upgrade", async (t) => {
  const socket = await connect(t, slow);
  const order = [];
  const answers = numbers.map((n) => ask(socket, "answered number", n).then((m) => order.push(m)));
  if (mode === "upgrade") {
    await upgraded(socket);
  }
  await Promise.all(answers);
  assert.deepEqual(order, numbers);
  assert.deepEqual(await ask(socket, "numbers"), numbers);
});

test("a client that waits for slow middleware holds up nobody else", async (t) => {
  const socket = await connect(t, slow);
  const root = await connectBeside(t, socket, "/");
  const answers = numbers.map((n) => ask(socket, "answered number", n));
  for (const n of numbers) {
    assert.equal(await ask(root, "double", n), 2 * n); // on the same connection
  }
  assert.deepEqual(await Promise.all(answers), numbers);
});

test("SIO-EM-8 events may be acknowledged later, in any order", async (t) => {
  const socket = await connect(t, slow);
  assert.deepEqual(await Promise.all([3, 3, 3].map((n) => ask(socket, "answer later", n))), [2, 1, 0]);
});

test("SIO-CN-6 what is emitted while the server decides waits in the client", async (t) => {
  const socket = open(t, slow);
  const early = numbers.map((n) => ask(socket, "answered number", n));
  assert.deepEqual(await Promise.all(early), numbers);
});

test("SIO-CN-7 a late refusal is one", async (t) => {
  const root = await connect(t);
  const refused = openBeside(t, root, slow, { auth: { refuse: true } });
  const [error] = await next(refused, "connect_error");
  assert.equal(error.message, "after all, no");
  assert.equal(refused.connected, false);
  await settled(root);
});

test("SIO-EM-10 the client does not wait for an answer for ever", async (t) => {
  const socket = await connect(t);
  await assert.rejects(socket.timeout(50).emitWithAck("no such event"), /operation has timed out/);
  await settled(socket);
});
