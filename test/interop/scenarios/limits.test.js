// What a client sees of package ratelimit.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { ask, collect, connect, connectBeside, mode, next, open, settled, url } from "../support/client.js";

const hour = 3600;

/** Asserts that data says to wait for a part of `most` seconds. */
function assertLimited(data, most) {
  const { retryAfter, ...rest } = data;
  assert.deepEqual(rest, { code: "rate_limited" });
  assert.ok(retryAfter > 0 && retryAfter <= most, `retryAfter is ${retryAfter}`);
}

/** Uses up the two that an event is allowed. */
async function useUp(socket, event) {
  assert.equal(await ask(socket, event), "ok");
  assert.equal(await ask(socket, event), "ok");
}

test("the ack of a refused event is an error with retryAfter", async (t) => {
  const socket = await connect(t, "/limits");
  await useUp(socket, "refused");
  const { error } = await ask(socket, "refused");
  assert.equal(error.message, "rate limit exceeded");
  assertLimited(error.data, hour / 2);
});

test("a client that wants no ack is sent an event, once", async (t) => {
  const socket = await connect(t, "/limits");
  await useUp(socket, "refused");
  const told = collect(socket, "rate_limited");
  for (let i = 0; i < 20; i++) {
    socket.emit("refused");
  }
  await settled(socket);
  assert.equal(told.length, 1);
  const { event, ...data } = told[0];
  assert.equal(event, "refused");
  assertLimited(data, hour / 2);
});

test("a dropped event is not acknowledged, and nothing is said", async (t) => {
  const socket = await connect(t, "/limits");
  await useUp(socket, "dropped");
  const heard = [];
  socket.onAny((...event) => heard.push(event));
  socket.emit("dropped", (...args) => heard.push(args));
  socket.emit("dropped");
  await settled(socket);
  assert.deepEqual(heard, []);
  assert.equal(socket.connected, true);
});

test("a client that waits as long as it is told gets through", async (t) => {
  const docs = await readFile(new URL("../../../docs/ratelimit.md", import.meta.url), "utf8");
  const [, code] = docs.match(/<!-- checked: client -->\n```js\n([^]*?)```/);
  const { send } = await import("data:text/javascript," + encodeURIComponent(code));
  const socket = await connect(t, "/limits");
  for (let i = 0; i < 5; i++) {
    assert.equal(await send(socket, "refused for a moment"), "ok");
  }
  assert.deepEqual(await send(socket, "join"), { error: { message: "invalid payload" } });
});

test("delayed events are all handled, in order", async (t) => {
  const socket = await connect(t, "/limits");
  const numbers = Array.from({ length: 10 }, (_, i) => i);
  assert.deepEqual(await Promise.all(numbers.map((n) => ask(socket, "delayed", n))), numbers);
});

test("a client that does not stop is disconnected", async (t) => {
  const socket = await connect(t, "/limits", { reconnection: true });
  await useUp(socket, "cut off");
  const told = collect(socket, "rate_limited");
  const gone = next(socket, "disconnect");
  for (let i = 0; i < 5; i++) {
    socket.emit("cut off", () => {});
  }
  const [reason] = await gone;
  assert.equal(reason, "io server disconnect");
  assert.equal(socket.active, false); // it does not connect again by itself
  assert.equal(told.length, 1); // the others were told by their acks
  assert.equal(told[0].event, "cut off");
});

test("events are weighed with their attachments", async (t) => {
  const socket = await connect(t, "/limits");
  assert.equal(await ask(socket, "weighed", Buffer.alloc(400)), "ok");
  assert.equal(await ask(socket, "weighed", { text: "x".repeat(400) }), "ok");
  const { error } = await ask(socket, "weighed", Buffer.alloc(400));
  assertLimited(error.data, hour);
  const { error: never } = await ask(socket, "weighed", Buffer.alloc(2000));
  assert.deepEqual(never.data, { code: "rate_limited" }); // which no waiting would change
});

test("one room too many", async (t) => {
  const socket = await connect(t, "/limits");
  assert.equal(await ask(socket, "join", "a"), "ok");
  assert.equal(await ask(socket, "join", "b"), "ok");
  assert.deepEqual(await ask(socket, "join", "c"), {
    error: { message: "too many rooms", data: { code: "too_many_rooms" } },
  });
});

test("one event too many at the same time", async (t) => {
  const [first, second] = [await connect(t, "/limits"), await connect(t, "/limits")];
  const held = next(first, "may I go on");
  const answer = ask(first, "held");
  const [goOn] = await held;
  assert.deepEqual(await ask(second, "held"), { error: { message: "too busy", data: { code: "busy" } } });
  goOn(true);
  assert.equal(await answer, "ok");
});

test("one connect too many", async (t) => {
  const auth = { Name: randomUUID() };
  await connect(t, "/limits/connects", { auth });
  const socket = await connect(t, "/limits/connects", { auth });
  socket.disconnect();
  const refused = open(t, "/limits/connects", { auth });
  const [err] = await next(refused, "connect_error");
  assert.equal(err.message, "rate limit exceeded");
  assertLimited(err.data, hour / 2);
  await connectBeside(t, refused, "/limits"); // the connection is as good as before
});

test("one socket too many at the same time", async (t) => {
  const auth = { Name: randomUUID() };
  const here = [await connect(t, "/limits/sockets", { auth }), await connect(t, "/limits/sockets", { auth })];
  const refused = open(t, "/limits/sockets", { auth });
  const [err] = await next(refused, "connect_error");
  assert.equal(err.message, "too many connections");
  assert.deepEqual(err.data, { code: "too_many_connections" });
  here[0].disconnect();
  for (;;) { // until the server has noticed
    refused.connect();
    const connected = await Promise.race([
      next(refused, "connect").then(() => true),
      next(refused, "connect_error").then(() => false),
    ]);
    if (connected) {
      break;
    }
  }
});

test("one handshake too many is answered 429 with Retry-After", async (t) => {
  const query = { limited: "yes" };
  await connect(t, "/limits", { query });
  await connect(t, "/limits", { query });
  const refused = open(t, "/limits", { query });
  const [err] = await next(refused, "connect_error");
  // The client tells the status at best, and browsers do not tell that of a WebSocket.
  if (mode === "websocket") {
    assert.match(err.description.message, /429/);
  } else {
    assert.equal(err.description, 429);
  }
  const response = await fetch(`${url}/socket.io/?EIO=4&transport=polling&limited=yes`);
  assert.equal(response.status, 429);
  const wait = Number(response.headers.get("Retry-After"));
  assert.ok(wait > 0 && wait <= hour / 2, `Retry-After is ${wait}`);
});
