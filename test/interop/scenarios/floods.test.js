// Volatile events for a client that does not read.

import assert from "node:assert/strict";
import { test } from "node:test";
import { network } from "../support/network.js";
import { ask, collect, connect, mode, settled, upgraded } from "../support/client.js";

test("SIO-EM-13 SIO-BC-9 what a client does not read is dropped if it is volatile, and delays nobody", async (t) => {
  const net = await network(t);
  const ada = await connect(t, "/floods", { base: net.base });
  const [bob, eve] = [await connect(t, "/floods"), await connect(t, "/floods")];
  if (mode === "upgrade") {
    await upgraded(ada);
  }
  await settled(ada);
  const pictures = collect(ada, "picture");
  const numbers = collect(ada, "number");

  const count = 500; // of 100 kB each: more than any buffer between the two takes
  net.hold();
  await ask(bob, "flood", ada.id, count);
  await settled(eve);
  net.release();
  await settled(ada);
  assert.deepEqual(numbers, Array.from({ length: count / 10 }, (_, i) => 10 * i));
  assert.ok(pictures.length < count / 2, `${pictures.length} of ${count} pictures arrived`);
  for (const { image } of pictures) {
    assert.equal(image.length, 100_000);
  }

  // Who reads again gets them again. On polling a picture is dropped while no poll is waiting.
  const { length } = pictures;
  for (let i = 0; i < 100 && pictures.length === length; i++) {
    await ask(bob, "flood", ada.id, 1);
    await settled(ada);
  }
  assert.ok(pictures.length > length);
});
