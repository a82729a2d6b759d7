import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, connect, next, open, openBeside, settled } from "../support/client.js";

/** Returns the error that the server refuses the client with. */
async function refused(t, auth) {
  const socket = open(t, "/members", { auth });
  const [err] = await next(socket, "connect_error");
  assert.equal(socket.connected, false);
  return err;
}

test("SIO-CN-7 a refusal carries the error's message and data", async (t) => {
  const err = await refused(t, { token: "stolen" });
  assert.equal(err.message, "not authorized");
  assert.deepEqual(err.data, { code: "E001", retry: false });
});

test("SIO-CN-7 a refusal without data has none", async (t) => {
  const err = await refused(t, {});
  assert.equal(err.message, "no token");
  assert.equal(err.data, undefined);
});

test("an error wrapped in another still refuses with its own message", async (t) => {
  const err = await refused(t, { token: "expired" });
  assert.equal(err.message, "token expired");
});

for (const token of ["database down", "panic"]) {
  test(`an internal error refuses without its detail: ${token}`, async (t) => {
    const err = await refused(t, { token });
    assert.equal(err.message, "internal error");
    assert.equal(err.data, undefined);
  });
}

test("an auth payload of the wrong type is refused", async (t) => {
  const err = await refused(t, { token: 17 });
  assert.equal(err.message, "invalid payload");
});

test("SIO-CN-7 a refused client may try again on the same connection", async (t) => {
  const root = await connect(t);
  const { engine } = root.io;
  const members = openBeside(t, root, "/members", { auth: { token: "stolen" } });
  await next(members, "connect_error");
  await settled(root);

  members.auth = { token: "good" };
  const accepted = next(members, "connect");
  members.connect();
  await accepted;
  assert.equal(await ask(members, "secret"), "for members only");
  assert.equal(members.io.engine, engine);
});

test("an error of OnConnect disconnects", async (t) => {
  const socket = open(t, "/members", { auth: { token: "banned" } });
  const [reason] = await next(socket, "disconnect");
  assert.equal(reason, "io server disconnect");
});
