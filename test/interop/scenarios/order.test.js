import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, connected, mode, open, openBeside, upgraded } from "../support/client.js";

// Client and server emit in small bursts from the first moment on, and keep a reserve
// until the upgrade is over, so events travel before, during and after it.
const total = 1_000;
const reserve = 100;
const burst = 10;
const interval = 1; // milliseconds

for (const kind of ["text", "binary"]) {
  test(`EIO-UP-3 a thousand ${kind} events each way arrive once and in order`, async (t) => {
    await Promise.all([exchange(t, kind), exchange(t, kind)]);
  });
}

test("events to two namespaces of one client are handled in the order in which it sent", async (t) => {
  const a = open(t, "/order/a");
  const b = openBeside(t, a, "/order/b");
  await Promise.all([connected(a), connected(b)]);
  for (let round = 0; round < 500; round++) {
    const answers = [];
    await Promise.all(
      [a, b, a, b].map((socket, i) => socket.emitWithAck("echo", i).then((n) => answers.push(n))),
    );
    assert.deepEqual(answers, [0, 1, 2, 3], `round ${round}`);
  }
});

async function exchange(t, kind) {
  const socket = open(t, `/order/${kind}`);
  const received = [];
  const complete = new Promise((resolve) => {
    socket.on("down", (value) => received.push(number(value)) === total && resolve());
  });
  const emitted = emitAll(socket, kind);
  await connected(socket);
  if (mode === "upgrade") {
    await upgraded(socket);
  }
  emitted.release();
  socket.emit("release");
  await Promise.all([emitted.all, complete]);

  const expected = Array.from({ length: total }, (_, i) => i);
  assert.deepEqual(await ask(socket, "received"), expected, "client to server");
  assert.deepEqual(received, expected, "server to client");
}

/** Emits the numbers below total; the reserve only after release was called. */
function emitAll(socket, kind) {
  let release;
  let limit = total - reserve;
  let n = 0;
  const emit = (end) => {
    for (; n < end; n++) {
      socket.emit("up", kind === "text" ? n : bytes(n));
    }
  };
  const all = new Promise((resolve) => {
    const timer = setInterval(() => emit(Math.min(n + burst, limit)), interval);
    release = () => {
      clearInterval(timer);
      emit(total);
      resolve();
    };
  });
  return { all, release };
}

function bytes(n) {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(n);
  return buffer;
}

function number(value) {
  return Buffer.isBuffer(value) ? value.readUInt32BE() : value;
}
