import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { start, stop } from "../support/control.js";
import { ask, connect, next } from "../support/client.js";

const reconnecting = { reconnection: true, reconnectionDelay: 20, reconnectionDelayMax: 50 };

// Emits an event and returns what its callback gets.
function send(socket, ...args) {
  return new Promise((resolve, reject) => {
    socket.emit(...args, (err, value) => (err ? reject(err) : resolve(value)));
  });
}

test("an event that is sent again acts once", async (t) => {
  const socket = await connect(t, "/", { retries: 100, ackTimeout: 100 });
  const observer = await connect(t);
  assert.equal(await send(socket, "pay", 12, { idempotencyKey: randomUUID() }), 1);
  assert.equal((await ask(observer, "attempts"))[0], 1);
  assert.equal(await send(socket, "pay", 12, { idempotencyKey: randomUUID() }), 2);
});

test("an event is sent again until it is acknowledged, whatever happens to the server", async (t) => {
  const socket = await connect(t, "/", { ...reconnecting, retries: 100, ackTimeout: 60_000 });
  const observer = await connect(t, "/", reconnecting);
  const answer = send(socket, "lose the answer");
  while (!(await ask(observer, "begun"))) {
    // the handler runs soon
  }
  const gone = next(socket, "disconnect");
  await stop();
  await gone;
  await start();
  assert.equal(await answer, 2);
});

test("after the last attempt there is an error", async (t) => {
  const socket = await connect(t, "/", { retries: 2, ackTimeout: 50 });
  const observer = await connect(t);
  await assert.rejects(send(socket, "never answered"), /timed out/);
  const attempts = async () => (await ask(observer, "attempts"))[2];
  while ((await attempts()) < 3) {
    // the last one is on its way
  }
  assert.equal(await attempts(), 3);
});
