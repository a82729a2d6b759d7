// A reporter for Node's test runner that interop_test.go reads: one line of JSON
// for each test that begins, and for each that has ended.

import { inspect } from "node:util";

export default async function* reporter(events) {
  for await (const { type, data } of events) {
    if (type === "test:dequeue") {
      yield JSON.stringify({ test: data.name, begins: true }) + "\n";
    }
    if (type !== "test:pass" && type !== "test:fail") {
      continue;
    }
    const error = data.details.error;
    yield JSON.stringify({
      file: data.file,
      test: data.name,
      pass: type === "test:pass",
      skip: data.skip !== undefined || data.todo !== undefined,
      milliseconds: data.details.duration_ms,
      error: error && inspect(error.cause ?? error),
    }) + "\n";
  }
}
