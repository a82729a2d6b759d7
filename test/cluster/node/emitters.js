// Official emitters: processes without a server. There is one for the classic adapter, and one for
// PostgreSQL.
import { Emitter as PostgresEmitter } from "@socket.io/postgres-emitter";
import { Emitter } from "@socket.io/redis-emitter";
import pg from "pg";
import { createClient } from "redis";
import { fromWire, target } from "./values.js";

const emitters = new Map();

export function run(command) {
  const operation = operations[command.op];
  if (!operation) throw new Error(`unknown operation of an emitter: ${command.op}`);
  return operation(command, emitters.get(command.name));
}

const of = ({ ns }, { emitter }) => (ns === "/" ? emitter : emitter.of(ns));

const operations = {
  async start({ name, options, redis, postgres }) {
    if (postgres) {
      const pool = new pg.Pool({ connectionString: postgres, max: 1 });
      emitters.set(name, { emitter: new PostgresEmitter(pool, "/", options ?? {}), client: { destroy: () => pool.end() } });
      return;
    }
    const client = createClient({ url: redis });
    await client.connect();
    emitters.set(name, { emitter: new Emitter(client, options ?? {}), client });
  },

  stop({ name }, { client }) {
    emitters.delete(name);
    client.destroy();
  },

  emit: (command, e) => void target(of(command, e), command).emit(...fromWire(command.args)),
  join: (command, e) => void target(of(command, e), command).socketsJoin(command.rooms),
  leave: (command, e) => void target(of(command, e), command).socketsLeave(command.rooms),
  disconnect: (command, e) => void target(of(command, e), command).disconnectSockets(command.close),
  serverEmit: (command, e) => void of(command, e).serverSideEmit(...fromWire(command.args)),
};
