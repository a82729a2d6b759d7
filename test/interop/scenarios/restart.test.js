import assert from "node:assert/strict";
import { test } from "node:test";
import { noted, start, stop } from "../support/control.js";
import { ask, connect, connectBeside, next, settled } from "../support/client.js";

const reconnecting = { reconnection: true, reconnectionDelay: 20, reconnectionDelayMax: 50 };

test("SIO-CL-4 clients come back after the server has restarted", async (t) => {
  const root = await connect(t, "/", reconnecting);
  const chat = await connectBeside(t, root, "/chat", { auth: { name: "Ada" } });
  const ids = [root.id, chat.id];

  const gone = [next(root, "disconnect"), next(chat, "disconnect")];
  await stop();
  for (const [reason] of await Promise.all(gone)) {
    assert.match(reason, /^transport (close|error)$/);
  }
  for (const id of ids) {
    assert.equal(await noted(`leaving of ${id}`), "server shutting down");
  }

  // Nobody answers now; what is emitted meanwhile waits in the client.
  await next(root.io, "reconnect_error");
  const back = [next(root, "connect"), next(chat, "connect")];
  const answer = ask(chat, "name");
  await start();
  await Promise.all(back);

  assert.equal(await answer, "Ada");
  assert.equal(ids.includes(root.id) || ids.includes(chat.id), false, "a new connection has new ids");
  await Promise.all([settled(root), settled(chat)]);
});

test("the server restarts with many clients connected", async (t) => {
  const sockets = await Promise.all(Array.from({ length: 20 }, () => connect(t, "/", reconnecting)));
  const back = sockets.map((socket) => next(socket.io, "reconnect"));
  await stop();
  await start();
  await Promise.all(back);
  const answers = await Promise.all(sockets.map((socket, i) => ask(socket, "double", i)));
  assert.deepEqual(answers, sockets.map((_, i) => 2 * i));
});
