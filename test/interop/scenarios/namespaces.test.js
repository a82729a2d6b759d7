import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, collect, connect, connectBeside, next, open, openBeside, settled } from "../support/client.js";

test("SIO-CN-16 two namespaces share a connection and nothing else", async (t) => {
  const root = await connect(t);
  const chat = await connectBeside(t, root, "/chat");
  assert.equal(root.io.engine, chat.io.engine);
  assert.notEqual(root.id, chat.id);

  const inRoot = collect(root, "whereami");
  const inChat = collect(chat, "whereami");
  root.emit("whereami");
  chat.emit("whereami");
  await Promise.all([settled(root), settled(chat)]);
  assert.deepEqual(inRoot, ["/"]);
  assert.deepEqual(inChat, ["/chat"]);
});

test("SIO-CN-15 a client may be in a namespace without being in the root", async (t) => {
  const chat = await connect(t, "/chat");
  const where = next(chat, "whereami");
  chat.emit("whereami");
  assert.deepEqual(await where, ["/chat"]);
});

test("SIO-BAD-4 an unknown namespace is refused and the connection kept", async (t) => {
  const chat = await connect(t, "/chat");
  const unknown = openBeside(t, chat, "/nowhere");
  const [err] = await next(unknown, "connect_error");
  assert.equal(err.message, "Invalid namespace");
  assert.equal(unknown.connected, false);
  await settled(chat);
});

test("SIO-NS-3 a query is part of the namespace's name", async (t) => {
  const chat = await connect(t, "/chat");
  const unknown = openBeside(t, chat, "/chat?x=1");
  const [err] = await next(unknown, "connect_error");
  assert.equal(err.message, "Invalid namespace");
});

test("SIO-CN-2 each namespace gets its own auth payload", async (t) => {
  const ada = await connect(t, "/chat", { auth: { name: "Ada" } });
  assert.equal(await ask(ada, "name"), "Ada");

  const nobody = await connect(t, "/chat");
  assert.equal(await ask(nobody, "name"), "");
});

test("SIO-CN-10 what OnConnect emits comes first, after the connection", async (t) => {
  const chat = open(t, "/chat");
  const order = [];
  chat.on("connect", () => order.push("connect"));
  chat.on("welcome", (where) => order.push(`welcome to ${where}`));
  chat.emit("whereami");
  await next(chat, "whereami");
  assert.deepEqual(order, ["connect", "welcome to /chat"]);
});

test("SIO-DC-15 leaving one namespace keeps the other", async (t) => {
  const root = await connect(t);
  const chat = await connectBeside(t, root, "/chat");
  chat.disconnect();
  await settled(root);
  assert.equal(root.connected, true);
});

test("SIO-DC-1 a namespace can be joined again on the same connection", async (t) => {
  const root = await connect(t);
  const chat = await connectBeside(t, root, "/chat");
  const { id } = chat;
  const { engine } = chat.io;
  chat.disconnect();
  const again = next(chat, "connect");
  chat.connect();
  await again;
  assert.notEqual(chat.id, id);
  assert.equal(chat.io.engine, engine);
  await Promise.all([settled(root), settled(chat)]);
});
