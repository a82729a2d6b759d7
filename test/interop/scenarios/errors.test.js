import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, connect, settled } from "../support/client.js";

const failures = {
  "an error for the client": {
    event: "fail for the client",
    error: { message: "out of stock", data: { left: 0, image: Buffer.from("sad") } },
  },
  "an error for the client, wrapped": {
    event: "fail wrapped",
    error: { message: "out of stock" },
  },
  "any other error": {
    event: "fail inside",
    error: { message: "internal error" },
  },
  "a panic": {
    event: "panic",
    error: { message: "internal error" },
  },
  "an argument of the wrong type": {
    event: "double",
    args: ["not a number"],
    error: { message: "invalid payload" },
  },
  "a refusal by the event's middleware": {
    event: "never",
    error: { message: "not today" },
  },
};

for (const [name, { event, args = [], error }] of Object.entries(failures)) {
  test(`${name} becomes the acknowledgement`, async (t) => {
    const socket = await connect(t, "/errors");
    assert.deepEqual(await ask(socket, event, ...args), { error });
    await settled(socket);
  });

  test(`${name} is kept from a client that wants no answer`, async (t) => {
    const socket = await connect(t, "/errors");
    const events = [];
    socket.onAny((...event) => events.push(event));
    socket.emit(event, ...args);
    await settled(socket);
    assert.deepEqual(events, []);
    assert.equal(socket.connected, true);
  });
}
