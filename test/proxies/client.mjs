// The official client, from an address of its own through a proxy that does TLS. Its
// arguments are the folder that has the client installed, the proxy's URL, and the
// client's address.

import assert from "node:assert/strict";
import { Agent } from "node:https";
import { createRequire } from "node:module";

const [folder, url, localAddress] = process.argv.slice(2);
const { io } = createRequire(folder + "/")("socket.io-client");

const next = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));

for (const [transports, last] of [
  [["polling"], "polling"],
  [["polling", "websocket"], "websocket"],
  [["websocket"], "websocket"],
]) {
  const agent = new Agent({ localAddress, keepAlive: true });
  // The page is of this server's origin. The address in the header is made up.
  const extraHeaders = { Origin: url, "X-Forwarded-For": "203.0.113.9" };
  const socket = io(url, { transports, agent, extraHeaders, reconnection: false, forceNew: true });
  socket.on("connect_error", (err) => {
    throw err;
  });
  const upgraded = transports.length > 1 ? next(socket.io.engine, "upgrade") : undefined;
  await next(socket, "connect");
  await upgraded;
  assert.equal(socket.io.engine.transport.name, last);
  assert.equal(await socket.emitWithAck("hello", "world"), "Hello world");
  assert.equal(await socket.emitWithAck("address"), localAddress);
  const large = "x".repeat(900_000); // below the limit of a message
  assert.equal(await socket.emitWithAck("hello", large), "Hello " + large);
  socket.disconnect();
  agent.destroy();
}
console.log("ok");
process.exit(); // connections of the agents may still be open
