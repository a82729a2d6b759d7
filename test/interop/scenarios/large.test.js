import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, connect, mode, next, settled, upgraded } from "../support/client.js";

// The server tells its limit in the handshake; the client reads it there too.
const limitOf = (socket) => socket.io.engine._maxPayload;

// Room for the packet around the text: types, event name, ack id, brackets.
const envelope = 40;

test("EIO-POST-4 a message just under maxPayload passes", async (t) => {
  const socket = await connect(t);
  const text = "x".repeat(limitOf(socket) - envelope);
  assert.equal(await ask(socket, "length", text), text.length);
});

test("EIO-POST-4 binary just under maxPayload passes", async (t) => {
  const socket = await connect(t);
  // Polling carries binary as base64, four characters for three bytes.
  const bytes = Buffer.alloc(Math.floor((limitOf(socket) * 3) / 4) - envelope, 7);
  const echo = next(socket, "echo");
  socket.emit("echo", bytes);
  const [got] = await echo;
  assert.ok(got.equals(bytes));
});

test("EIO-POST-4 a message over maxPayload ends the connection, and that one only", async (t) => {
  const [witness, socket] = [await connect(t), await connect(t)];
  if (mode === "upgrade") {
    await upgraded(socket);
  }
  const gone = next(socket, "disconnect");
  socket.emit("length", "x".repeat(limitOf(socket) + 1));
  const [reason] = await gone;
  assert.equal(reason, mode === "polling" ? "transport error" : "transport close");
  await settled(witness);
});

test("EIO-POST-4 many messages that are too large for one request are sent in several", async (t) => {
  const socket = await connect(t);
  const length = Math.floor(limitOf(socket) * 0.4);
  const lengths = await Promise.all(
    Array.from({ length: 6 }, (_, i) => ask(socket, "length", "x".repeat(length + i))),
  );
  assert.deepEqual(lengths, Array.from({ length: 6 }, (_, i) => length + i));
});

test("EIO-GET-12 the server may send more than it accepts", async (t) => {
  const socket = await connect(t);
  const size = 3 * limitOf(socket);
  const text = next(socket, "text");
  const bytes = next(socket, "bytes");
  socket.emit("send me", size);
  assert.ok((await text)[0] === "x".repeat(size));
  assert.ok((await bytes)[0].equals(Buffer.alloc(size, "x")));
});
