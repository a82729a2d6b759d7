// The official client, as a page would use it, with a token in a header. Its arguments are
// the folder that has the client installed, the server's address and the token.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [folder, url, token] = process.argv.slice(2);
const { io } = createRequire(folder + "/")("socket.io-client");

const next = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));

const stranger = io(url, { reconnection: false });
const refused = await next(stranger, "connect_error");
assert.match(String(refused.context?.status), /^40[01]$/, "a client without a token");

const socket = io(url, { extraHeaders: { Authorization: "Bearer " + token }, reconnection: false });
socket.on("connect_error", (err) => {
  throw err;
});
const upgraded = next(socket.io.engine, "upgrade");
await next(socket, "connect");
assert.equal(await socket.emitWithAck("hello", "world"), "Hello world");
assert.equal(await socket.emitWithAck("whoami"), "ada");
await upgraded;
assert.equal(socket.io.engine.transport.name, "websocket");
assert.equal(await socket.emitWithAck("hello", "again"), "Hello again");
socket.disconnect();
console.log("ok");
