// The JavaScript server with default options, and the handlers of bench/server.
// Run with --expose-gc, so that /bench/gc can collect garbage.
import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer((req, res) => {
  if (req.url !== "/bench/gc") {
    res.writeHead(404).end();
    return;
  }
  for (let i = 0; i < 3; i++) globalThis.gc();
  res.end(JSON.stringify(process.memoryUsage()));
});

const io = new Server(http);

function burst(to, n, size) {
  const pad = "x".repeat(size);
  for (let i = 0; i < n; i++) to.emit("b", i, pad);
}

io.on("connection", (socket) => {
  socket.on("echo", (s) => socket.emit("echo", s));
  socket.on("echoAck", (s, ack) => ack(s));
  socket.on("bin", (b) => socket.emit("bin", b));
  socket.on("json", (o) => socket.emit("json", o));
  socket.on("join", (room, ack) => {
    socket.join(room);
    ack();
  });
  socket.on("bcast", (n, size) => burst(io, n, size));
  socket.on("room", (room, n, size) => burst(io.to(room), n, size));
});

const [port] = process.argv.slice(2);
http.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
