import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, connect, mode, upgraded } from "../support/client.js";

const last = mode === "polling" ? "polling" : "websocket";

test("EIO-HS-2 the connection ends up on the transport it may use", async (t) => {
  const socket = await connect(t);
  if (mode === "upgrade") {
    await upgraded(socket);
  }
  assert.equal(socket.io.engine.transport.name, last);
});

test("EIO-UP-3 events are answered before, during and after an upgrade", async (t) => {
  const socket = await connect(t);
  const before = ask(socket, "double", 1);
  if (mode === "upgrade") {
    await upgraded(socket);
  }
  const after = ask(socket, "double", 2);
  assert.deepEqual(await Promise.all([before, after]), [2, 4]);
  assert.equal(socket.io.engine.transport.name, last);
});

test("SIO-CN-9 client and server know the socket by the same id", async (t) => {
  const socket = await connect(t);
  assert.match(socket.id, /^[\w-]{20}$/);
  assert.notEqual(socket.id, socket.io.engine.id);
  assert.equal(await ask(socket, "id"), socket.id);
});

test("EIO-RT-4 the path works without its trailing slash", async (t) => {
  const socket = await connect(t, "/", { addTrailingSlash: false });
  assert.equal(await ask(socket, "double", 21), 42);
});
