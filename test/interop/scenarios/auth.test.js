import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, connect, connected, mode, next, open, transports, url } from "../support/client.js";
import * as signin from "../support/signin.js";

/** Returns a token for a subject of this test alone, which no other can revoke. */
async function issue(t, order = {}) {
  const issuer = await connect(t, "/issuer");
  return ask(issuer, "issue", {
    subject: t.name,
    id: t.name,
    audience: "interop",
    life: 60,
    algorithm: "HS256",
    ...order,
  });
}

/** Returns the code that a client is refused with. */
async function refused(t, namespace, options) {
  const socket = open(t, namespace, options);
  const [err] = await next(socket, "connect_error");
  assert.equal(socket.connected, false);
  assert.deepEqual(Object.keys(err.data), ["code"]);
  return err.data.code;
}

const tampered = (token) => {
  const [header, payload, signature] = token.split(".");
  return [header, payload, (signature[0] === "A" ? "B" : "A") + signature.slice(1)].join(".");
};

test("a good token lets the client in, and handlers know whose it is", async (t) => {
  const socket = await connect(t, "/vault", { auth: { token: await issue(t) } });
  assert.equal(await ask(socket, "who"), t.name);
});

test("a header, a cookie or the query have a token, too", async (t) => {
  const token = await issue(t);
  for (const options of [
    { extraHeaders: { authorization: `Bearer ${token}` } },
    { extraHeaders: { cookie: `a=b; token=${token}` } },
    { query: { token } },
  ]) {
    const socket = await connect(t, "/vault", options);
    assert.equal(await ask(socket, "who"), t.name);
  }
});

for (const [name, order, change, code] of [
  ["expired", { life: -1 }, (token) => token, "token_expired"],
  ["not yet valid", { notBefore: 60 }, (token) => token, "token_invalid"],
  ["for another audience", { audience: "mail" }, (token) => token, "token_invalid"],
  ["signed by another algorithm", { algorithm: "HS512" }, (token) => token, "token_invalid"],
  ["signed by no algorithm", { algorithm: "none" }, (token) => token, "token_invalid"],
  ["tampered with", {}, tampered, "token_invalid"],
  ["expired and tampered with", { life: -1 }, tampered, "token_invalid"],
  ["garbage", {}, () => "garbage", "token_invalid"],
  ["a number", {}, () => 7, "token_invalid"],
  ["missing", {}, () => undefined, "token_missing"],
]) {
  test(`a token that is ${name} is refused: ${code}`, async (t) => {
    const token = change(await issue(t, order));
    assert.equal(await refused(t, "/vault", { auth: { token } }), code);
  });
}

test("a token of an unknown key is refused until the keys have been rotated", async (t) => {
  const issuer = await connect(t, "/issuer");
  const order = { algorithm: "RS256" };
  const [before, after] = [await issue(t, { ...order, key: "old" }), await issue(t, { ...order, key: "new" })];
  await connect(t, "/vault/keys", { auth: { token: before } });
  assert.equal(await refused(t, "/vault/keys", { auth: { token: after } }), "token_invalid");
  await ask(issuer, "rotate");
  const socket = await connect(t, "/vault/keys", { auth: { token: after } });
  assert.equal(await ask(socket, "who"), t.name);
  assert.equal(await refused(t, "/vault/keys", { auth: { token: before } }), "token_invalid");
});

test("while keys cannot be fetched, clients are told to wait", async (t) => {
  const token = await issue(t, { algorithm: "RS256", key: "old" });
  assert.equal(await refused(t, "/vault/down", { auth: { token } }), "auth_unavailable");
});

test("a socket is warned before its token expires, and then disconnected", async (t) => {
  const socket = open(t, "/vault", { auth: { token: await issue(t, { life: 3 }) } });
  const events = [];
  socket.onAny((...event) => events.push(event));
  const [reason] = await next(socket, "disconnect");
  assert.equal(reason, "io server disconnect");
  assert.deepEqual(events, [
    ["token_expiring", { expiresIn: 1 }],
    ["token_expired", { code: "token_expired" }],
  ]);
});

test("a socket that has been refreshed outlives its first token", async (t) => {
  const token = await issue(t, { life: 3 });
  const socket = await connect(t, "/vault", { auth: { token } });
  const other = await connect(t, "/vault", { auth: { token } });
  const ended = next(other, "disconnect");
  assert.deepEqual(await ask(socket, "post"), {
    error: { message: "forbidden", data: { code: "forbidden" } },
  });
  await next(socket, "token_expiring");
  const { expiresIn } = await ask(socket, "authenticate", await issue(t, { scopes: ["chat:write"] }));
  assert.ok(expiresIn > 30 && expiresIn <= 60, expiresIn);
  await ended;
  assert.equal(socket.connected, true);
  assert.equal(await ask(socket, "post"), undefined);
});

test("a refresh that is refused changes nothing", async (t) => {
  const socket = await connect(t, "/vault", { auth: { token: await issue(t) } });
  for (const [token, message, code] of [
    [tampered(await issue(t)), "token invalid", "token_invalid"],
    [await issue(t, { life: -1 }), "token expired", "token_expired"],
    [await issue(t, { subject: "somebody else" }), "forbidden", "forbidden"],
    [undefined, "token missing", "token_missing"],
  ]) {
    assert.deepEqual(await ask(socket, "authenticate", token), { error: { message, data: { code } } });
  }
  assert.equal(await ask(socket, "who"), t.name);
});

for (const [event, what] of [
  ["revoke subject", "subject"],
  ["revoke token", "id"],
]) {
  test(`revocation by ${what} ends the sockets of a user, and only those`, async (t) => {
    const order = { subject: `${t.name} ${mode}`, id: `${t.name} ${mode}` };
    const token = await issue(t, order);
    const sockets = [
      await connect(t, "/vault", { auth: { token } }),
      await connect(t, "/vault", { auth: { token } }),
    ];
    const admin = await connect(t, "/vault", { auth: { token: await issue(t, { subject: "admin", id: "admin" }) } });
    const ends = sockets.map((socket) => [next(socket, "token_revoked"), next(socket, "disconnect")]);
    admin.emit(event, order[what]);
    for (const [revoked, disconnected] of ends) {
      assert.deepEqual(await revoked, [{ code: "token_revoked" }]);
      assert.equal((await disconnected)[0], "io server disconnect");
    }
    assert.equal(await refused(t, "/vault", { auth: { token } }), "token_revoked");
    assert.equal(await ask(admin, "who"), "admin");
  });
}

test("scopes, roles and rooms are guarded", async (t) => {
  const token = await issue(t, { scopes: ["chat:read", "chat:write"], roles: ["user"] });
  const socket = await connect(t, "/vault", { auth: { token } });
  const forbidden = { error: { message: "forbidden", data: { code: "forbidden" } } };
  assert.equal(await ask(socket, "post"), undefined);
  assert.deepEqual(await ask(socket, "moderate"), forbidden);
  assert.equal(await ask(socket, "join", `${t.name}/a`), true);
  assert.deepEqual(await ask(socket, "join", "somebody else/a"), forbidden);
});

test("an anonymous client signs in on its connection", async (t) => {
  const socket = await connect(t, "/lobby");
  assert.equal(await ask(socket, "who"), "");
  assert.equal((await ask(socket, "post")).error.data.code, "token_missing");
  await ask(socket, "authenticate", await issue(t));
  assert.equal(await ask(socket, "who"), t.name);
  assert.equal(await ask(socket, "post"), undefined);
  assert.equal(await refused(t, "/lobby", { auth: { token: "garbage" } }), "token_invalid");
});

/** Returns a client that keeps itself signed in, with what happens to it. */
function keptSignedIn(t, freshToken) {
  const happened = [];
  let onSignIn;
  const signedOut = new Promise((resolve) => (onSignIn = resolve));
  const socket = signin.connect(`${url}/vault`, {
    freshToken,
    signIn: () => onSignIn(),
    transports,
    forceNew: true,
  });
  socket.on("disconnect", (reason) => happened.push(reason));
  socket.on("connect_error", (err) => happened.push(err.data?.code ?? err.message));
  t.after(() => socket.disconnect());
  return { socket, happened, signedOut };
}

test("the documented client stays connected from token to token", async (t) => {
  let asked = 0;
  let onThird;
  const third = new Promise((resolve) => (onThird = resolve));
  const { socket, happened } = keptSignedIn(t, () => {
    if (++asked === 3) onThird();
    return issue(t, { life: 3 });
  });
  await connected(socket);
  const { id } = socket;
  await third;
  assert.equal(await ask(socket, "who"), t.name);
  assert.equal(socket.id, id);
  assert.deepEqual(happened, []);
});

test("the documented client asks its user to sign in when there is no token any more", async (t) => {
  let asked = 0;
  const { happened, signedOut } = keptSignedIn(t, async () => {
    if (++asked > 1) throw new Error("signed out");
    return issue(t, { life: 2 });
  });
  await signedOut;
  assert.deepEqual(happened, ["io server disconnect", "token_missing"]);
});

test("the documented client comes back when its token expired on the way", async (t) => {
  let asked = 0;
  const { socket, happened } = keptSignedIn(t, () => issue(t, { life: ++asked === 1 ? -1 : 60 }));
  await next(socket, "connect");
  assert.deepEqual(happened, ["token_expired"]);
});

test("the documented client asks its user to sign in when the token is revoked", async (t) => {
  const { socket, happened, signedOut } = keptSignedIn(t, () => issue(t, { subject: `${t.name} ${mode}` }));
  await connected(socket);
  const left = next(socket, "disconnect"); // comes behind the event that has the user sign in
  socket.emit("revoke subject", `${t.name} ${mode}`);
  await signedOut;
  await left;
  assert.equal(socket.connected || happened.length === 0, false);
});
