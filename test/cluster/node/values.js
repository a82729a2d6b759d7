// Values that JSON does not have: {"$bin": hex} is a Buffer, {"$date": ms} a Date,
// {"$undefined": true} and {"$nan": true} what their names say.

export function fromWire(v) {
  if (Array.isArray(v)) return v.map(fromWire);
  if (v === null || typeof v !== "object") return v;
  if ("$bin" in v) return Buffer.from(v.$bin, "hex");
  if ("$date" in v) return new Date(v.$date);
  if ("$undefined" in v) return undefined;
  if ("$nan" in v) return NaN;
  return Object.fromEntries(Object.entries(v).map(([key, value]) => [key, fromWire(value)]));
}

export function toWire(v) {
  if (Array.isArray(v)) return v.map(toWire);
  if (v === null || typeof v !== "object") return v === undefined ? { $undefined: true } : v;
  if (ArrayBuffer.isView(v)) return { $bin: Buffer.from(v.buffer, v.byteOffset, v.byteLength).toString("hex") };
  if (v instanceof ArrayBuffer) return { $bin: Buffer.from(v).toString("hex") };
  if (v instanceof Date) return { $date: v.getTime() };
  return Object.fromEntries(Object.entries(v).map(([key, value]) => [key, toWire(value)]));
}

// target adds rooms and flags to an io, a namespace or an emitter.
export function target(of, { to, except, volatile, compress, local }) {
  let b = to?.length ? of.to(to) : of;
  if (except?.length) b = b.except(except);
  if (volatile) b = b.volatile;
  if (compress !== undefined) b = b.compress(compress);
  if (local) b = b.local;
  return b;
}
