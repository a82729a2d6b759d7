import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, collect, connect, settled } from "../support/client.js";

const numbers = Array.from({ length: 200 }, (_, i) => i);
const regular = numbers.filter((n) => n % 2 === 1);

/** Checks that all regular numbers arrived, and the volatile ones once and in order if at all. */
function assertRegular(received) {
  assert.deepEqual(received.filter((n) => n % 2 === 1), regular);
  assert.deepEqual(received, [...new Set(received)].sort((a, b) => a - b));
}

test("SIO-EM-13 the server's volatile events do not disturb its others", async (t) => {
  const socket = await connect(t);
  const received = collect(socket, "number");
  await ask(socket, "count with volatile", numbers.length);
  await settled(socket);
  assertRegular(received);
});

test("SIO-EM-13 volatile binary comes whole or not at all", async (t) => {
  const socket = await connect(t);
  const received = collect(socket, "number");
  const pictures = collect(socket, "picture");
  await ask(socket, "count with volatile pictures", numbers.length);
  await settled(socket);
  assert.deepEqual(received, regular);
  for (const picture of pictures) {
    assert.deepEqual(picture.image, Buffer.from("the image"));
  }
});

test("SIO-BC-9 volatile broadcasts do not disturb others", async (t) => {
  const [ada, bob] = [await connect(t), await connect(t)];
  const heard = [collect(ada, "number"), collect(bob, "number")];
  await ask(ada, "count for all with volatile", numbers.length);
  await Promise.all([settled(ada), settled(bob)]);
  heard.forEach(assertRegular);
});

test("SIO-EM-13 a volatile event to an idle client arrives", async (t) => {
  const socket = await connect(t);
  await settled(socket);
  const received = collect(socket, "number");
  // On polling an event is dropped while no poll is waiting, so ask until one is.
  for (let i = 0; i < 100 && received.length === 0; i++) {
    await ask(socket, "one volatile");
    await settled(socket);
  }
  assert.equal(received[0], 0);
});

test("the client's volatile events do not disturb its others", async (t) => {
  const socket = await connect(t);
  for (const n of numbers) {
    (n % 2 === 1 ? socket : socket.volatile).emit("number", n);
  }
  assertRegular(await ask(socket, "numbers"));
});
