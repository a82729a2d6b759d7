import assert from "node:assert/strict";
import { test } from "node:test";
import { Fetch, NodeWebSocket } from "engine.io-client";
import { ask, connect, mode, upgraded } from "../support/client.js";

// The same server on an address with TLS, whose certificate we are given.
const base = process.env.INTEROP_TLS_URL;
const ca = process.env.INTEROP_CA;

// Browsers poll over HTTP/2 where they can. So does Node's fetch, once told to; its
// Agent is not exported, but an instance of it is around after the first use.
await fetch("data:,");
const Agent = globalThis[Symbol.for("undici.globalDispatcher.1")].constructor;
globalThis[Symbol.for("undici.globalDispatcher.1")] = new Agent({ allowH2: true, connect: { ca } });

const picture = { name: "cat.png", image: Buffer.from("meow"), thumbnails: [Buffer.from("mew")] };

async function converse(socket) {
  assert.equal(await ask(socket, "double", 21), 42);
  assert.deepEqual(await ask(socket, "mirror", picture), { mirrored: picture });
  if (mode === "upgrade") {
    await upgraded(socket);
    assert.equal(await ask(socket, "double", 4), 8);
  }
}

test("EIO-RT-8 the client connects over TLS", async (t) => {
  const socket = await connect(t, "/", { base, ca });
  assert.equal(await ask(socket, "protocol"), "HTTP/1.1");
  await converse(socket);
});

test("polling over HTTP/2, WebSocket over HTTP/1.1, on one listener", async (t) => {
  const transports = { polling: [Fetch], websocket: [NodeWebSocket], upgrade: [Fetch, NodeWebSocket] }[mode];
  const socket = await connect(t, "/", { base, ca, transports });
  assert.equal(await ask(socket, "protocol"), mode === "websocket" ? "HTTP/1.1" : "HTTP/2.0");
  await converse(socket);
});

if (mode === "polling") {
  test("many clients poll over one connection", async (t) => {
    const sockets = await Promise.all(
      Array.from({ length: 20 }, () => connect(t, "/", { base, transports: [Fetch] })),
    );
    await Promise.all(sockets.map(converse));
  });
}
