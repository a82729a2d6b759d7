import assert from "node:assert/strict";
import { test } from "node:test";
import { noted } from "../support/control.js";
import { connect, connectBeside, mode, next, settled, upgraded } from "../support/client.js";

/** Returns the reason for which the server saw the socket of that id leave. */
const left = (id) => noted(`leaving of ${id}`);

test("SIO-DC-1 the server ends one namespace", async (t) => {
  const root = await connect(t);
  const chat = await connectBeside(t, root, "/chat");
  const { id } = chat;
  const gone = next(chat, "disconnect");
  chat.emit("disconnect me");
  assert.equal((await gone)[0], "io server disconnect");
  assert.equal(await left(id), "server namespace disconnect");
  await settled(root);
});

test("SIO-DC-2 the server ends the whole connection", async (t) => {
  const root = await connect(t);
  const chat = await connectBeside(t, root, "/chat");
  const ids = [root.id, chat.id];
  const gone = [next(root, "disconnect"), next(chat, "disconnect")];
  chat.emit("close my connection");
  for (const [reason] of await Promise.all(gone)) {
    assert.equal(reason, "io server disconnect");
  }
  for (const reason of await Promise.all(ids.map(left))) {
    assert.equal(reason, "server namespace disconnect");
  }
});

test("SIO-DC-3 the client leaves one namespace", async (t) => {
  const root = await connect(t);
  const chat = await connectBeside(t, root, "/chat");
  const { id } = chat;
  const gone = next(chat, "disconnect");
  chat.disconnect();
  assert.equal((await gone)[0], "io client disconnect");
  assert.equal(await left(id), "client namespace disconnect");
  await settled(root);
});

test("SIO-DC-4 the client closes the connection", async (t) => {
  const root = await connect(t);
  const chat = await connectBeside(t, root, "/chat");
  if (mode === "upgrade") {
    await upgraded(root);
  }
  const ids = [root.id, chat.id];
  root.io.engine.close();
  for (const reason of await Promise.all(ids.map(left))) {
    assert.equal(reason, "transport close");
  }
});

test("SIO-DC-10 a socket can still say goodbye to its rooms", async (t) => {
  const [ada, bob] = [await connect(t, "/rooms"), await connect(t, "/rooms")];
  const { id } = bob;
  const goodbye = next(ada, "gone");
  ada.emit("join", ["goodbye"]);
  bob.emit("join", ["goodbye"]);
  await Promise.all([settled(ada), settled(bob)]);
  bob.disconnect();
  assert.deepEqual(await goodbye, [id, "client namespace disconnect"]);
});
