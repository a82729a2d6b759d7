// The official server, with the handlers that the tests of the Go client use. Its first
// argument has the options as JSON. It prints its port, and ends with its standard input.
import { createServer } from "node:http";
import { createServer as createTLSServer } from "node:https";
import { Server } from "socket.io";
import * as msgpack from "socket.io-msgpack-parser";

const { msgpack: packed, port = 0, tls, ...options } = JSON.parse(process.argv[2] ?? "{}");
const http = tls ? createTLSServer(tls) : createServer();
const io = new Server(http, packed ? { ...options, parser: msgpack } : options);
const items = [];

function handle(socket) {
  socket.on("echo", (...args) => {
    const ack = args.pop();
    if (typeof ack === "function") return ack(...args);
    socket.emit("echo", ...args, ack);
  });
  const last = (f) => (...args) => f(args.pop()); // the client may add an idempotency key
  socket.on("fail", (ack) => ack({ error: { message: "sold out", data: { left: 0 } } }));
  socket.on("ask me", (ack) => {
    socket.timeout(30000).emit("question", 20, (err, v) => ack(v, !err));
  });
  socket.on("leave", () => socket.disconnect());
  socket.on("leave all", () => socket.disconnect(true));
  socket.on("hang up", () => socket.conn.transport.close());
  socket.on("garbage", () => socket.conn.write("9"));
  socket.on("burst", (n, size) => {
    for (let i = 0; i < n; i++) socket.emit("item", i, "x".repeat(size));
  });
  socket.on("all", (...args) => io.emit(...args));
  socket.on("item", (i, ...rest) => {
    items.push(i);
    const ack = rest.pop();
    if (typeof ack === "function") ack(i);
  });
  socket.on("lost", (i) => items.push(i)); // never acknowledged
  socket.on("items", last((ack) => ack(items)));
  socket.on("handshake", (ack) => {
    const { auth, query, headers, url } = socket.handshake;
    ack({ auth, query, headers, url, transport: socket.conn.transport.name });
  });
  socket.on("join", (room, ack) => {
    socket.join(room);
    ack();
  });
  socket.on("to room", (room, ...args) => socket.nsp.to(room).emit(...args));
  socket.on("survey", async (room, value, ack) => {
    ack(await socket.nsp.to(room).timeout(30000).emitWithAck("question", value));
  });
  socket.on("ask me often", async (n, ack) => {
    ack(await Promise.all(Array.from({ length: n }, (_, i) => socket.emitWithAck("question", i))));
  });
  socket.on("ask me briefly", (ack) => socket.timeout(50).emit("question", 1, (err) => ack(err ? "late" : "in time")));
  socket.on("mixed", (n) => {
    for (let i = 0; i < n; i++) socket.emit("mixed", i, i % 2 ? Buffer.alloc(i % 200, i) : `text ${i}`);
  });
  socket.on("volatile", (n) => {
    for (let i = 0; i < n; i++) socket.volatile.emit("tick", i, Buffer.alloc(2000, i), Buffer.alloc(10, i));
    socket.emit("end of ticks");
  });
  socket.on("attachments", (n) => socket.emit("attachments", ...Array.from({ length: n }, (_, i) => Buffer.from([i]))));
  socket.on("message", (...args) => socket.send(...args));
  socket.on("big", (n) => socket.emit("big", "x".repeat(n)));
  socket.on("goodbye", () => {
    for (let i = 0; i < 20; i++) socket.emit("item", i);
    socket.disconnect(true);
  });
  socket.on("volatile to all", (...args) => socket.nsp.volatile.emit(...args));
  socket.emit("hello", socket.recovered);
}

io.on("connection", handle);
io.of("/other").on("connection", handle);
io.of("/auth").use((socket, next) => {
  if (socket.handshake.auth.token === "secret") return next();
  const err = new Error("no entry");
  err.data = "try again";
  next(err);
});
io.of("/auth").on("connection", handle);

io.of("/bare").use((_, next) => next(new Error("no")));
io.of("/late").use(async (socket, next) => {
  await new Promise((resolve) => setTimeout(resolve, 30));
  next(socket.handshake.auth.token === "secret" ? undefined : new Error("no entry, after all"));
});
io.of("/late").on("connection", handle);
io.of(/^\/n\d$/).on("connection", handle);

http.listen(port, "127.0.0.1", () => console.log(http.address().port));
process.stdin.on("end", () => process.exit()).resume();
