import assert from "node:assert/strict";
import { test } from "node:test";
import { drain, drained } from "../support/control.js";
import { ask, connect, mode, next } from "../support/client.js";

const reconnecting = { reconnection: true, reconnectionDelay: 100, reconnectionDelayMax: 400 };

// In how many handlers the server is busy when it drains: half of them wait for the client.
const busy = 8;

test("clients of a server that drains come back to another one, and lose no answer", async (t) => {
  const sockets = await Promise.all(Array.from({ length: 24 }, () => connect(t, "/", reconnecting)));
  for (const where of await Promise.all(sockets.map((socket) => ask(socket, "where")))) {
    assert.equal(where, "old");
  }
  const answers = sockets.slice(0, busy).map((socket, i) => {
    socket.on("question", (n, answer) => setTimeout(answer, 500, n));
    return ask(socket, i % 2 === 0 ? "slow" : "ask me", i);
  });
  const gone = sockets.map((socket) => next(socket, "disconnect"));
  const back = sockets.map((socket) => next(socket, "connect"));
  await drain();

  assert.deepEqual(await Promise.all(answers), answers.map((_, i) => i));
  for (const [reason] of await Promise.all(gone)) {
    // Clients come back by themselves after both.
    assert.equal(reason, mode === "polling" ? "transport error" : "transport close");
  }
  await Promise.all(back);
  for (const where of await Promise.all(sockets.map((socket) => ask(socket, "where")))) {
    assert.equal(where, "new");
  }
  assert.deepEqual(JSON.parse(await drained()), { refused: true, left: 0 });
});
