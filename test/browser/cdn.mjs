// What the page does where npm is absent: it takes the Socket.IO client from the
// CDN, for which the npm package's own file stands in here. The browser checks it
// against the page's integrity hash as it would check the real one.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { Person } from "./person.mjs";
import { finish, launch, step, url } from "./script.mjs";

const client = await readFile("../../examples/chat/web/node_modules/socket.io-client/dist/socket.io.min.js");
const headers = { "access-control-allow-origin": "*", "content-type": "application/javascript" };

const browser = await launch();

// arrive brings somebody whose CDN answers with body.
async function arrive(name, body) {
  const person = await Person.arrive(browser, url, name);
  await person.page.route("https://cdn.socket.io/**", (route) => route.fulfill({ headers, body }));
  return person;
}

const ann = await arrive("Ann", client);
await step("the client comes from the CDN", () => ann.signIn());

await step("another client is refused, and the page says so", async () => {
  const ben = await arrive("Ben", `${client}\n// not what was published`);
  await ben.page.goto(url);
  await ben.page.getByLabel("Your name").fill("Ben");
  await ben.page.getByRole("button", { name: "Sign in" }).click();
  await ben.sees('#banner[data-kind=refused]:has-text("did not load")');
  assert.ok(ben.complaints.some((text) => text.includes("integrity")), `complaints: ${ben.complaints}`);
});

await finish(browser, [ann]);
