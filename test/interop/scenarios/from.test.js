import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, connect, next, open } from "../support/client.js";

const as = (name) => ({ extraHeaders: { authorization: `Bearer ${name}` } });

test("whom the framework's middleware has let in is the identity of the socket", async (t) => {
  const socket = await connect(t, "/framework", as("ada"));
  assert.equal(await ask(socket, "who"), "ada");
});

test("whom it has not let in is refused", async (t) => {
  const socket = open(t, "/framework");
  const [err] = await next(socket, "connect_error");
  assert.equal(err.message, "token missing");
  assert.deepEqual(err.data, { code: "token_missing" });
});

test("it can be revoked", async (t) => {
  const [bob, other] = [await connect(t, "/framework", as("bob")), await connect(t, "/framework", as("eve"))];
  const revoked = next(bob, "token_revoked");
  const [reason] = (bob.emit("revoke me"), await next(bob, "disconnect"));
  await revoked;
  assert.equal(reason, "io server disconnect");
  assert.equal(await ask(other, "who"), "eve");
});
