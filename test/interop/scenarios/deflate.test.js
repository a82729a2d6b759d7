import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { ask, connect, mode, next, settled, upgraded } from "../support/client.js";

// The official client offers permessage-deflate by default. The server of these
// scenarios keeps its context unless the client wants it otherwise.
const noTakeover = { serverNoContextTakeover: true, clientNoContextTakeover: true };
const offers = {
  "by default": {},
  "with nothing kept": noTakeover,
  "with the server's context": { clientNoContextTakeover: true },
  "with the client's context": { serverNoContextTakeover: true },
  "with small windows": { serverMaxWindowBits: 9, clientMaxWindowBits: 9 },
  "with windows as small as can be": { serverMaxWindowBits: 8, clientMaxWindowBits: 8 },
  "with small windows and nothing kept": { serverMaxWindowBits: 10, clientMaxWindowBits: 10, ...noTakeover },
};

/** Connects with an offer, or with `false` for none, and returns the socket over WebSocket. */
async function offering(t, offer, namespace) {
  const perMessageDeflate = offer && { threshold: 1024, ...offer };
  const socket = await connect(t, namespace, { perMessageDeflate });
  if (mode === "upgrade") {
    await upgraded(socket);
  }
  return socket;
}

const webSocket = (socket) => socket.io.engine.transport.ws;

/** Returns a list of n records that are similar, as records are. */
const records = (n) => Array.from({ length: n }, (_, i) => ({
  id: i,
  user: `user${i % 17}`,
  text: `hello ${((i * 2654435761) >>> 0).toString(16)} – ß`,
  price: Math.sqrt(i),
}));

const sizes = [1, 20, 100, 1_000, 5_000];

for (const [name, offer] of Object.entries(offers)) {
  test(`EIO-WD-1 messages of all sizes are compressed ${name}`, async (t) => {
    const socket = await offering(t, offer);
    assert.equal(webSocket(socket).extensions, "permessage-deflate");
    const { bytesRead, bytesWritten } = webSocket(socket)._socket;
    let length = 0;
    for (const size of [...sizes, ...sizes]) {
      const echo = next(socket, "echo");
      socket.emit("echo", records(size));
      const [got] = await echo;
      assert.deepEqual(got, records(size));
      length += JSON.stringify(got).length;
    }
    assert.ok(webSocket(socket)._socket.bytesWritten - bytesWritten < length / 2);
    assert.ok(webSocket(socket)._socket.bytesRead - bytesRead < length / 2);
  });

  test(`EIO-WD-1 binary arrives, compressible or not, ${name}`, async (t) => {
    const socket = await offering(t, offer);
    const image = randomBytes(50_000);
    for (const thumbnail of [Buffer.alloc(0), Buffer.alloc(50_000, "abc"), image]) {
      const picture = next(socket, "picture");
      socket.emit("picture", { name: "p", image, thumbnails: [thumbnail, image] });
      const [got] = await picture;
      assert.ok(got.image.equals(image));
      assert.ok(got.thumbnails[0].equals(thumbnail) && got.thumbnails[1].equals(image));
    }
  });
}

test("EIO-WD-1 a later message refers to an earlier one, if it may", async (t) => {
  for (const [offer, expected] of [[{}, true], [{ serverNoContextTakeover: true }, false]]) {
    const socket = await offering(t, offer);
    const sizeOfEcho = async () => {
      const before = webSocket(socket)._socket.bytesRead;
      const echo = next(socket, "echo");
      socket.emit("echo", records(50));
      await echo;
      return webSocket(socket)._socket.bytesRead - before;
    };
    const first = await sizeOfEcho();
    assert.equal((await sizeOfEcho()) < first / 4, expected);
  }
});

test("EIO-WD-3 everybody gets a broadcast in the form that was agreed upon", async (t) => {
  const sockets = [await offering(t, false, "/rooms")];
  for (const offer of Object.values(offers)) {
    sockets.push(await offering(t, offer, "/rooms"));
  }
  assert.equal(webSocket(sockets[0]).extensions, "");
  await Promise.all(sockets.map((socket) => ask(socket, "join", ["all"])));
  for (const text of ["short", "long ".repeat(10_000), randomBytes(3_000).toString("latin1")]) {
    const said = sockets.map((socket) => next(socket, "said"));
    await ask(sockets[1], "announce", { to: ["all"], text });
    for (const [got] of await Promise.all(said)) {
      assert.ok(got === text);
    }
  }
});

test("EIO-WD-1 a client that offers nothing gets nothing", async (t) => {
  const socket = await offering(t, false);
  assert.equal(webSocket(socket).extensions, "");
  const echo = next(socket, "echo");
  socket.emit("echo", records(100));
  assert.deepEqual((await echo)[0], records(100));
});

test("EIO-WD-4 the limit is one for decompressed messages", async (t) => {
  const [witness, socket] = [await offering(t, {}), await offering(t, {})];
  const limit = socket.io.engine._maxPayload;
  assert.equal(await ask(socket, "length", "x".repeat(limit - 40)), limit - 40);
  const closed = new Promise((resolve) => webSocket(socket).addEventListener("close", resolve));
  const gone = next(socket, "disconnect");
  socket.emit("length", "x".repeat(limit));
  assert.equal((await closed).code, 1009);
  assert.equal((await gone)[0], "transport close");
  await settled(witness);
});
