// The official client behind a network that is cut. Its arguments are the folder that has
// the client installed, the URL of the network, the client's name, its transports, and the
// number of cuts.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [folder, url, name, transports, cuts] = process.argv.slice(2);
const { io } = createRequire(new URL(folder + "/", "file://" + process.cwd() + "/"))("socket.io-client");

const socket = io(url, {
  transports: transports.split(","),
  retries: 50,
  ackTimeout: 30_000,
  reconnectionDelay: 10,
  reconnectionDelayMax: 50,
});
const numbers = [];
let fresh = 0;
socket.on("connect", () => (fresh += socket.recovered ? 0 : 1));
socket.on("number", (n, bytes, text) => {
  assert.equal(bytes.toString(), "binary");
  assert.equal(text.length, 2000);
  numbers.push(n);
});

let sent = 0;
for (let i = 0; i < Number(cuts); i++) {
  const acks = [];
  for (let j = 0; j < 5; j++) acks.push(socket.emitWithAck("say", name, String(sent++)));
  acks.push(socket.emitWithAck("number please", i));
  await Promise.all(acks);
  const lost = new Promise((resolve) => socket.once("disconnect", resolve));
  const again = setInterval(() => socket.volatile.emit("cut me"), 5); // one that cannot be sent now is dropped
  const back = new Promise((resolve) => socket.once("connect", resolve));
  await lost;
  clearInterval(again);
  await back;
}
await socket.emitWithAck("say", name, String(sent++));

// In order and never twice. A session that was not recovered may lack some.
for (let i = 1; i < numbers.length; i++) assert.ok(numbers[i] > numbers[i - 1], String(numbers));
if (fresh === 1) assert.equal(numbers.length, Number(cuts));
assert.ok(numbers.length > 0);
socket.disconnect();
