// Clients have to join a namespace within the connect timeout, which is short here.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Socket as Engine } from "engine.io-client";
import { connect, next, open, openBeside, settled, transports, url } from "../support/client.js";

/** Opens a connection of the client's lower layer, which joins nothing by itself. */
async function engine(t) {
  const socket = new Engine(url, { path: "/socket.io/", transports });
  t.after(() => socket.close());
  await next(socket, "open");
  return socket;
}

test("SIO-BAD-5 who joins no namespace in time is disconnected, and nobody else is", async (t) => {
  const witness = await connect(t);
  const socket = await engine(t);
  const [reason] = await next(socket, "close");
  assert.equal(reason, "transport close");
  await settled(witness);
});

test("SIO-BAD-5 to be refused is not to join", async (t) => {
  const socket = open(t, "/nowhere");
  const closed = next(socket.io, "close");
  await next(socket, "connect_error");
  await closed;
});

test("SIO-MW-7 nor is to wait for middleware that does not decide", async (t) => {
  const socket = open(t, "/unhurried", { auth: { stay: true } });
  await next(socket.io, "close");
  assert.equal(socket.connected, false);
});

test("SIO-CN-9 one namespace is enough", async (t) => {
  const root = await connect(t);
  const waiting = openBeside(t, root, "/unhurried", { auth: { stay: true } });
  const other = await engine(t);
  await next(other, "close"); // by when the time of root is up, too
  await settled(root);
  assert.equal(waiting.connected, false);
});
