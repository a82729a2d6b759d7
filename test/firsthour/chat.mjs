// The official client, as the page of a getting-started program uses it. Its arguments are
// the folder that has the client installed, and the server's address.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [folder, url] = process.argv.slice(2);
const { io } = createRequire(folder + "/")("socket.io-client");

const next = (emitter, event) => new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));

const stranger = io(url, { reconnection: false });
await next(stranger, "connect_error");
stranger.disconnect();

// The server answers with a cookie, or with a token for the auth payload.
const body = new URLSearchParams({ name: "ada" });
const response = await fetch(url + "/login", { method: "POST", body, redirect: "manual" });
const cookie = response.headers.get("set-cookie");
const credentials = cookie ? { extraHeaders: { Cookie: cookie.split(";")[0] } } : { auth: await response.json() };
if (cookie) {
  assert.equal(response.status, 303);
  assert.match(cookie, /HttpOnly/i);
  assert.match(cookie, /SameSite=Lax/i);
  assert.match(cookie, /Path=\/(;|$)/i);
}

const socket = io(url, { ...credentials, reconnection: false });
socket.on("connect_error", (err) => {
  throw err;
});
const upgraded = next(socket.io.engine, "upgrade");
await next(socket, "connect");
await upgraded;
const said = next(socket, "said");
const at = await socket.emitWithAck("say", "hello");
assert.ok(Math.abs(new Date(at) - Date.now()) < 60_000, at);
assert.deepEqual(await said, ["ada", "hello"]);
assert.deepEqual(await socket.emitWithAck("say", ""), { error: { message: "empty message" } });
assert.equal(socket.io.engine.transport.name, "websocket");
socket.disconnect();
console.log("ok");
