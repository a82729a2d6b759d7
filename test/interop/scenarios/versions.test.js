// Clients of all versions that the server understands. Those of version 2 speak
// older revisions of both protocols; an official server has to be told to let
// them in, and so has this one.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import io2 from "socket.io-client-2";
import io3 from "socket.io-client-3";
import { io as io4 } from "socket.io-client";
import { start, stop } from "../support/control.js";
import { mode, next, transports, url } from "../support/client.js";

const versions = { "2.5.0": io2, "3.1.3": io3, "4.8.4": io4 };

const last = mode === "polling" ? "polling" : "websocket";

/** Connects a client of that version. What it sends along differs by version, too. */
async function connect(t, version, namespace = "/", { auth, ...options } = {}) {
  const socket = versions[version](url + namespace, {
    transports,
    forceNew: true,
    reconnection: false,
    ...(version.startsWith("2.") ? { query: auth } : { auth }),
    ...options,
  });
  t.after(() => socket.disconnect());
  await next(socket, "connect");
  return socket;
}

/** Emits an event and returns the values it is acknowledged with. */
function ask(socket, ...event) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer to "${event[0]}"`)), 10_000);
    socket.emit(...event, (...values) => {
      clearTimeout(timer);
      resolve(values);
    });
  });
}

async function settledTransport(socket) {
  const { engine } = socket.io;
  if (engine.transport.name !== last) {
    await next(engine, "upgrade");
  }
  return engine.transport.name;
}

for (const version of Object.keys(versions)) {
  const old = version.startsWith("2.");

  test(`${version} connects and ends up on its last transport`, async (t) => {
    const socket = await connect(t, version);
    assert.equal(await settledTransport(socket), last);
    assert.deepEqual(await ask(socket, "double", 21), [42]);
  });

  test(`SIO-V2-2 ${version} has the id that the server knows`, async (t) => {
    for (const namespace of ["/", "/chat"]) {
      const socket = await connect(t, version, namespace);
      const [id] = await ask(socket, "id");
      assert.equal(id, socket.id);
      assert.equal(id.endsWith(socket.io.engine.id), old);
    }
  });

  test(`SIO-V2-6 ${version} exchanges text and binary, before, during and after an upgrade`, async (t) => {
    const socket = await connect(t, version);
    const texts = ["", "hello", "é€😀".repeat(1000), "\n\\n\u2028\u001e\u0000", '"'];
    const buffers = [0, 1, 3, 1000, 100_000].map((n) => randomBytes(n));
    const sent = texts.flatMap((text, i) => [text, buffers[i], { text, deep: [buffers[i], i] }]);
    for (let round = 0; round < 2; round++) {
      const received = [];
      const complete = new Promise((resolve) => {
        socket.on("echo", (value) => received.push(value) === sent.length && resolve());
      });
      for (const value of sent) {
        socket.emit("echo", value);
      }
      await complete;
      socket.off("echo");
      assert.deepEqual(received, sent);
      assert.equal(await settledTransport(socket), last);
    }
  });

  test(`SIO-V2-6 ${version} is answered, and answers`, async (t) => {
    const socket = await connect(t, version);
    assert.deepEqual(await ask(socket, "answer with three"), [1, "two", Buffer.from("three")]);
    const value = { list: [Buffer.from("a"), { deep: Buffer.from("b") }], note: "€" };
    assert.deepEqual(await ask(socket, "mirror", value), [{ mirrored: value }]);

    const picture = { name: "cat.png", image: Buffer.from("meow"), thumbnails: [Buffer.from("mew")] };
    socket.on("question", (n, answer) => answer(n * n));
    socket.on("picture, please", (answer) => answer(picture));
    assert.deepEqual(await ask(socket, "ask me", 12), [144]);
    assert.deepEqual(await ask(socket, "ask me for a picture"), [picture]);
  });

  test(`SIO-V2-3 ${version} tells a namespace who it is`, async (t) => {
    const socket = await connect(t, version, "/chat", { auth: { name: "Ada & Bob" } });
    assert.deepEqual(await ask(socket, "name"), ["Ada & Bob"]);
  });

  test(`SIO-V2-4 ${version} is told why it is refused`, async (t) => {
    const refusals = { "": "no token", expired: "token expired", bad: { code: "E001", retry: false } };
    for (const [token, why] of Object.entries(refusals)) {
      const auth = { token };
      const socket = versions[version](`${url}/members`, {
        transports,
        forceNew: true,
        reconnection: false,
        ...(old ? { query: auth } : { auth }),
      });
      t.after(() => socket.disconnect());
      const [error] = await next(socket, old ? "error" : "connect_error");
      assert.deepEqual(old ? error : error.data ?? error.message, why);
    }
  });

  test(`${version} comes back after the server has restarted`, async (t) => {
    const socket = await connect(t, version, "/", {
      reconnection: true,
      reconnectionDelay: 20,
      reconnectionDelayMax: 50,
    });
    assert.equal(await settledTransport(socket), last);
    const { id } = socket;
    const gone = next(socket, "disconnect");
    await stop();
    await gone;
    const back = next(socket, "connect");
    await start();
    await back;
    assert.notEqual(socket.id, id);
    assert.deepEqual(await ask(socket, "mirror", Buffer.from("again")), [{ mirrored: Buffer.from("again") }]);
    assert.equal(await settledTransport(socket), last);
  });
}

test("SIO-V2-6 a broadcast reaches clients of all versions alike", async (t) => {
  const sockets = await Promise.all(Object.keys(versions).map((version) => connect(t, version, "/rooms")));
  await Promise.all(sockets.map((socket) => ask(socket, "join", ["all versions"])));
  for (const text of ["é€😀", randomBytes(1000), { list: [Buffer.from("a"), Buffer.alloc(0)] }]) {
    const heard = sockets.map((socket) => next(socket, "said"));
    await ask(sockets[0], "announce", { to: ["all versions"], text });
    assert.deepEqual(await Promise.all(heard), sockets.map(() => [text]));
    await Promise.all(sockets.map(settledTransport));
  }
});
