import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, connect, mode, next, open, settled, url } from "../support/client.js";

const as = (name) => ({ extraHeaders: { authorization: `Bearer ${name}` } });

test("handlers see what the framework's middleware set", async (t) => {
  const socket = await connect(t, "/", as("ada"));
  assert.deepEqual(await ask(socket, "whoami"), { user: "ada", tenant: "" });
});

test("handlers see the parameters of the route they are mounted on", async (t) => {
  const socket = await connect(t, "/", { ...as("bob"), path: "/t/acme/socket.io/" });
  assert.deepEqual(await ask(socket, "whoami"), { user: "bob", tenant: "acme" });
});

test("two clients do not see each other's values", async (t) => {
  const [ada, bob] = [
    await connect(t, "/", { ...as("ada"), path: "/t/red/socket.io/" }),
    await connect(t, "/", { ...as("bob"), path: "/t/blue/socket.io/" }),
  ];
  assert.deepEqual(await ask(ada, "whoami"), { user: "ada", tenant: "red" });
  assert.deepEqual(await ask(bob, "whoami"), { user: "bob", tenant: "blue" });
});

test("a group's middleware can refuse the request", async (t) => {
  const socket = open(t, "/", { path: "/t/closed/socket.io/" });
  const [err] = await next(socket, "connect_error");
  assert.match(String(mode === "websocket" ? err.description.message : err.description), /403/);
  assert.equal(socket.connected, false);
});

test("the application's other routes are as they were", async (t) => {
  const socket = await connect(t);
  const response = await fetch(`${url}/hello`);
  assert.equal(response.status, 200);
  assert.equal(await response.text(), "hello");
  assert.equal((await fetch(`${url}/nothing`)).status, 404);
  await settled(socket);
});
