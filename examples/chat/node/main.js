// A server of the chat in JavaScript, with the official adapter for Redis. It is in one
// cluster with the servers in Go and says the same to pages and to servers: see ../wire.go
// and ../cluster.go. It serves sockets only. It takes no pictures from its own pages, but
// passes on those of others.
import { createServer } from "node:http";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";
import { State } from "./state.js";
import { verify } from "./token.js";

const { values: flags } = parseArgs({
  options: { addr: { type: "string" }, redis: { type: "string" }, key: { type: "string" }, node: { type: "string" } },
});
const [host, port] = flags.addr.split(":");
const key = readFileSync(flags.key);

// While Redis is away, promises of the adapter fail that nobody can catch.
process.on("unhandledRejection", (err) => console.error("redis:", err.message));

const pub = createClient({ url: `redis://${flags.redis}` });
const sub = pub.duplicate();
for (const client of [pub, sub]) client.on("error", (err) => console.error("redis:", err.message));
await Promise.all([pub.connect(), sub.connect()]);

const http = createServer((req, res) => res.writeHead(req.url === "/healthz" ? 200 : 404).end());
const io = new Server(http, {
  serveClient: true,
  adapter: createAdapter(pub, sub),
  allowRequest: ({ headers: { origin, host } }, done) => done(null, !origin || /^https?:\/\/(.*)$/.exec(origin)?.[1] === host),
});
io.engine.generateId = () => `${flags.node}-${randomBytes(16).toString("base64url")}`;

const state = new State();
const timers = new WeakMap(); // by socket: for the end of its token
const signedOut = new Set();
const roomKey = (room) => `room:${room}`;
const userKey = (user) => `user:${user.id}`;

io.use((socket, next) => {
  const claims = verify(key, socket.handshake.auth.token);
  if (!claims || signedOut.has(claims.sub)) {
    const err = new Error("Please sign in.");
    err.data = { code: "token_invalid" };
    return next(err);
  }
  const user = { id: claims.sub, name: claims.name };
  if (state.taken(user)) return next(new Error("This name is in use."));
  socket.data.user = user;
  next();
});

io.on("connection", (socket) => {
  const { user } = socket.data;
  expire(socket, verify(key, socket.handshake.auth.token)?.exp ?? 0);
  // The servers in Go disconnect who signs out by the second room.
  socket.join([userKey(user), `auth:sub:${user.id}`]);
  state.enter(socket.id, user);
  moved();
  socket.on("disconnect", () => {
    clearTimeout(timers.get(socket));
    state.leave(socket.id);
    moved();
  });

  const on = (event, f) =>
    socket.on(event, async (...args) => {
      const ack = typeof args.at(-1) === "function" ? args.pop() : () => {};
      try {
        ack(await f(args[0] ?? {}));
      } catch (err) {
        ack({ error: { message: err.message } });
      }
    });

  on("join", async ({ room }) => {
    await catchUp();
    const left = state.move(socket.id, String(room));
    if (left && left !== room) socket.leave(roomKey(left));
    socket.join(roomKey(room));
    moved();
    return { room, server: flags.node, epoch: state.epoch, messages: state.history(room) };
  });

  on("post", ({ room, nonce, text, picture }) => {
    if (picture) throw new Error("The server in JavaScript takes no pictures.");
    const { message, fresh } = state.add({ room, nonce, from: user, text });
    if (fresh) {
      io.serverSideEmit("said", message); // first: so they know the message before pages confirm it
      socket.to(roomKey(room)).emit("message", message);
      socket.broadcast.except(roomKey(room)).emit("activity", { room });
    }
    return { id: message.id, at: message.at };
  });

  on("picture", async (want) => {
    const { data } = (await ask("picture", want)).find((answer) => answer?.data) ?? {};
    const known = state.find(want.room, want.id)?.picture;
    if (data && known) return { ...known, data: Buffer.from(data, "base64") };
    throw new Error("This picture is no longer kept.");
  });

  on("typing", ({ on }) => {
    const room = state.roomOf(socket.id);
    if (room) socket.to(roomKey(room)).volatile.emit("typing", { room, user, on });
  });

  on("received", ({ room, ids }) => {
    for (const id of ids.slice(0, 50)) {
      const message = state.deliver(room, id, user);
      if (!message) continue;
      io.serverSideEmit("delivered", { room, id, user });
      io.to(userKey(message.from)).emit("delivered", { room, id, nonce: message.nonce, to: state.names(message) });
    }
  });

  on("authenticate", (token) => {
    const claims = verify(key, token);
    if (claims?.sub !== user.id) throw new Error("This token is not yours.");
    return { expiresIn: expire(socket, claims.exp) };
  });
});

// expire warns before a token ends, and ends its socket then.
function expire(socket, exp) {
  clearTimeout(timers.get(socket));
  const left = exp * 1000 - Date.now();
  const warning = Math.min(60_000, left / 2);
  const after = (time, f) => timers.set(socket, setTimeout(f, time));
  after(left - warning, () => {
    socket.emit("token_expiring", { expiresIn: Math.round(warning / 1000) });
    after(warning, () => {
      socket.emit("token_expired", { code: "token_expired" });
      socket.disconnect();
    });
  });
  return Math.round(left / 1000);
}

// What other servers say.
io.on("said", (message) => state.keep(message));
io.on("delivered", ({ room, id, user }) => state.deliver(room, id, user));
io.on("moved", () => fetchPeople());
io.on("archive", (answer) => answer(state.archive()));
io.on("picture", (_, answer) => answer({ data: "" })); // there are none here
io.on("signed out", (id) => signedOut.add(id));

// ask returns the answers of the servers that have answered.
function ask(event, ...args) {
  return new Promise((resolve) => io.serverSideEmit(event, ...args, (_, answers) => resolve(answers ?? [])));
}

let caughtUp;
function catchUp() {
  caughtUp ??= ask("archive").then((archives) => archives.filter(Boolean).forEach((archive) => state.merge(archive)));
  return caughtUp;
}

function moved() {
  showHere();
  io.serverSideEmit("moved");
  fetchPeople();
}

function showHere() {
  io.local.emit("presence", state.presence());
}

// fetchPeople asks all servers who is online, until all have answered.
let asking = false;
let askAgain = false;
async function fetchPeople() {
  askAgain = true;
  if (asking) return;
  asking = true;
  while (askAgain) {
    askAgain = false;
    try {
      state.setOthers(await io.fetchSockets(), roomKey(""));
      showHere();
    } catch {
      askAgain = true; // it takes 5 seconds until that is clear
    }
  }
  asking = false;
}

http.listen(Number(port), host, () => console.log(`The chat is at http://${flags.addr}`));
for (const signal of ["SIGTERM", "SIGINT"]) {
  process.once(signal, async () => {
    io.local.emit("goodbye");
    await io.close();
    process.exit(0);
  });
}
