// Catch-all listeners, in both directions.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, connect, next, settled } from "../support/client.js";

const image = Buffer.from("the image");

/** Returns what the server saw go in and out of socket, but for the question about that. */
async function seen(socket) {
  return (await ask(socket, "seen")).filter(([, event]) => event !== "seen");
}

test("SIO-PM-3 every event that comes in is seen, known or not, with all arguments", async (t) => {
  const socket = await connect(t, "/watched");
  socket.emit("unknown", 1, "two", { three: [image] });
  socket.emit("nothing");
  await ask(socket, "join", ["room"]);
  assert.deepEqual(await seen(socket), [
    ["in", "unknown", 1, "two", { three: [image] }],
    ["in", "nothing"],
    ["in", "join", ["room"]],
  ]);
});

test("SIO-PM-4 every event that goes out is seen, broadcasts and binary too, and no acks", async (t) => {
  const [ada, bob] = [await connect(t, "/watched"), await connect(t, "/watched")];
  ada.on("question", (n, answer) => answer(n + 1));
  await Promise.all([ada, bob].map((socket) => ask(socket, "join", ["seen"])));
  const said = next(bob, "said");
  await ask(ada, "announce", { to: ["seen"], text: { image } });
  assert.deepEqual(await said, [{ image }]);
  await ask(ada, "say", { to: ["seen"], text: "not to me" });
  assert.equal(await ask(ada, "ask me", 1), 2);
  await settled(bob);
  const outgoing = async (socket) => (await seen(socket)).filter(([direction]) => direction === "out");
  assert.deepEqual(await outgoing(ada), [["out", "said", { image }], ["out", "question", 1]]);
  assert.deepEqual(await outgoing(bob), [["out", "said", { image }], ["out", "said", "not to me"]]);
});
