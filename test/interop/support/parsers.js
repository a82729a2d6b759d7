// The official parsers as a program: one line of JSON in, one line out. The tests
// of internal/packet and core/parser/msgpack compare their own with them.
//
// A packet is {type, nsp, id, data}, in which {"$binary": base64} stands for a
// Buffer; a frame is {text} or {binary: base64}.

import { createInterface } from "node:readline";
import * as standard from "socket.io-parser";
import * as msgpack from "socket.io-msgpack-parser";

const parsers = { standard, msgpack };

/** Replaces what stands for Buffers, and the other way round. */
function revive(value) {
  return walk(value, (v) => typeof v.$binary === "string" && Buffer.from(v.$binary, "base64"));
}

function describe(value) {
  return walk(value, (v) => (v instanceof ArrayBuffer || ArrayBuffer.isView(v)) && { $binary: base64(v) });
}

/** Returns a copy of value, with what replace makes of its objects if that is not false. */
function walk(value, replace) {
  if (typeof value !== "object" || value === null) {
    return value;
  }
  const other = replace(value);
  if (other) {
    return other;
  }
  if (typeof value.toJSON === "function") {
    return walk(value.toJSON(), replace);
  }
  if (Array.isArray(value)) {
    return value.map((v) => walk(v, replace));
  }
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, walk(v, replace)]));
}

/** Returns a packet whose members have the order in which the JavaScript server makes them. */
function ordered({ type, nsp, id, data }) {
  const packet = {
    [standard.PacketType.ACK]: { id, type, data, nsp },
    [standard.PacketType.CONNECT_ERROR]: { type, nsp, data },
  }[type] ?? { type, data, id, nsp };
  return Object.fromEntries(Object.entries(packet).filter(([, v]) => v !== undefined));
}

function encode(parser, packet) {
  return new parser.Encoder()
    .encode(packet)
    .map((frame) => (typeof frame === "string" ? { text: frame } : { binary: base64(frame) }));
}

function base64(bytes) {
  const view = bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes;
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString("base64");
}

function decode(parser, frames) {
  const decoder = new parser.Decoder();
  const packets = [];
  decoder.on("decoded", (packet) => packets.push(packet));
  for (const { text, binary } of frames) {
    decoder.add(text ?? Buffer.from(binary, "base64"));
  }
  if (packets.length !== 1) {
    throw new Error(`${packets.length} packets`);
  }
  const { type, nsp, id, data } = packets[0];
  return { type, nsp, id, data: describe(data) };
}

/** Values that JSON has no words for, as a parser encodes and JSON.stringify describes them. */
function oddities(parser) {
  const bytes = Uint8Array.from({ length: 20 }, (_, i) => i);
  const values = {
    "undefined in an array": [1, undefined, 2],
    "undefined in an object": { a: undefined, b: [undefined], c: { d: undefined } },
    "no numbers": [NaN, Infinity, -Infinity],
    "the smallest zero": -0,
    "numbers at their limits": [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, Number.MIN_VALUE, 2 ** 63, -(2 ** 63)],
    "beyond 64 bits": [Number.MAX_VALUE, -(2 ** 64)],
    dates: [new Date(0), new Date(-1), new Date(8.64e15), new Date(-8.64e15), new Date("0001-02-03T04:05:06.007Z")],
    "a date in an object": { at: new Date(1e12) },
    toJSON: { toJSON: () => ({ made: [1, "by toJSON"] }) },
    "no functions in objects": { f() {}, a: 1 },
    Buffers: [Buffer.from(""), Buffer.from("abc"), Buffer.from(bytes.subarray(3, 7))],
    "array buffers": [0, 1, 2, 4, 8, 16].map((n) => bytes.slice(0, n).buffer),
    "typed arrays": { a: bytes.slice(), b: [new Float64Array([1.5]), new Uint16Array([1, 2, 3])] },
    names: { "": 1, "é\n": 2, "a b": 3, "10": 4, "9": 5 },
  };
  if (parser === msgpack) {
    delete values["beyond 64 bits"]; // it writes others
  }
  return Object.entries(values).map(([name, value]) => ({
    name,
    frames: encode(parser, { type: standard.PacketType.EVENT, data: ["odd", value], nsp: "/" }),
    value: JSON.parse(JSON.stringify(describe(value))),
  }));
}

for await (const line of createInterface({ input: process.stdin })) {
  const { op, parser, packet, frames } = JSON.parse(line);
  let answer;
  try {
    answer = {
      encode: () => ({ frames: encode(parsers[parser], ordered({ ...packet, data: revive(packet.data) })) }),
      decode: () => ({ packet: decode(parsers[parser], frames) }),
      oddities: () => ({ oddities: oddities(parsers[parser]) }),
    }[op]();
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
