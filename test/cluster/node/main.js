// One process for any number of servers, clients and emitters. Each line of standard input
// is a command, {id, role, name, op, ...}, which is answered by a line {id, result} or
// {id, error}. What happens by itself is told in lines with a note. See peer_test.go.
import { createInterface } from "node:readline";
import * as clients from "./clients.js";
import * as emitters from "./emitters.js";
import * as servers from "./servers.js";
import { tell } from "./tell.js";

// The official adapters leave some promises without a catch (CF-2).
process.on("uncaughtException", (err) => tell({ note: "uncaught", error: String(err?.stack ?? err) }));

const roles = { client: clients.run, emitter: emitters.run, server: servers.run };

const input = createInterface({ input: process.stdin });
input.on("line", async (line) => {
  const command = JSON.parse(line);
  try {
    tell({ id: command.id, result: (await roles[command.role](command)) ?? null });
  } catch (err) {
    tell({ id: command.id, error: String(err?.message ?? err) });
  }
});
input.on("close", () => process.exit(0)); // the test has ended
