import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { url } from "../support/client.js";

const dist = new URL("../node_modules/socket.io-client/dist/", import.meta.url);

const types = {
  "socket.io.js": "application/javascript; charset=utf-8",
  "socket.io.js.map": "application/json; charset=utf-8",
  "socket.io.min.js": "application/javascript; charset=utf-8",
  "socket.io.esm.min.js": "application/javascript; charset=utf-8",
  "socket.io.msgpack.min.js": "application/javascript; charset=utf-8",
};

for (const [name, type] of Object.entries(types)) {
  test(`SIO-FS-1 the server serves ${name}`, async () => {
    const response = await fetch(`${url}/socket.io/${name}?v=1`);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), type);
    assert.equal(response.headers.get("cache-control"), "public, max-age=0");
    const [got, want] = [await response.text(), await readFile(new URL(name, dist), "utf8")];
    assert.ok(got === want, "the file differs from the one in the npm package");
  });
}

test("SIO-FS-3 a file the browser has is not sent again", async () => {
  const address = `${url}/socket.io/socket.io.js`;
  const etag = (await fetch(address)).headers.get("etag");
  assert.ok(etag, "no ETag");
  const response = await fetch(address, { headers: { "if-none-match": etag } });
  assert.equal(response.status, 304);
  assert.equal(await response.text(), "");
});

test("SIO-FS-7 any other file is a request to the engine", async () => {
  const response = await fetch(`${url}/socket.io/package.json`);
  assert.equal(response.status, 400);
  assert.deepEqual(await response.json(), { code: 0, message: "Transport unknown" });
});
