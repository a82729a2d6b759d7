// What the published Admin UI shows of a server in production: numbers, and no clients.
import assert from "node:assert/strict";
import { Person } from "./person.mjs";
import { ask, finish, launch, shoot, step, url } from "./script.mjs";

const browser = await launch();
const admin = await Person.arrive(browser, url, "the administrator");
const number = (card, name, cell = "h2") =>
  admin.page.locator(".v-card", { hasText: card }).locator("tr", { hasText: name }).locator(cell).first();

await step("the dashboard has the numbers", async () => {
  await admin.page.goto(`${url}/ops/admin/`);
  await admin.page.getByLabel("Username").fill("admin");
  await admin.page.getByLabel("Password").fill(process.env.PASSWORD);
  await admin.page.getByRole("button", { name: "Connect", exact: true }).click();
  await admin.page.getByLabel("Password").waitFor({ state: "hidden" });
  await number("Servers", /^\s*Healthy/i).getByText("1", { exact: true }).waitFor();
  await number("Clients", "WebSocket").getByText("2", { exact: true }).waitFor(); // Ann and the page
  await number("Namespaces", "/", "td:nth-child(2)").getByText("1", { exact: true }).waitFor();
});

await step("the page has no lists of clients", async () => {
  assert.equal(await admin.page.getByRole("link", { name: "Servers" }).count(), 1);
  for (const name of ["Sockets", "Rooms", "Clients", "Events"]) {
    assert.equal(await admin.page.locator("nav").getByRole("link", { name }).count(), 0, name);
  }
  await admin.page.waitForTimeout(1500); // the animation of the charts
  await shoot(admin, "admin-production");
});

await step("the number of clients follows them", async () => {
  await ask("leave");
  await number("Clients", "WebSocket").getByText("1", { exact: true }).waitFor();
});

await finish(browser, [admin]);
