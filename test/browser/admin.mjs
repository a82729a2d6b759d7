// What an administrator does with the published Admin UI, step by step. Every step ends
// when the page shows what it should; one that does not ends the script.
import assert from "node:assert/strict";
import { Person } from "./person.mjs";
import { ask, finish, launch, shoot, step, url } from "./script.mjs";

const page = `${url}/ops/admin/`;
const { ANN: ann, BEN: ben, PASSWORD: password } = process.env;

const browser = await launch();
const admin = await Person.arrive(browser, url, "the administrator");
const text = (pattern) => admin.page.getByText(pattern).first().waitFor();

// Nothing may come from anywhere else.
const foreign = [];
await admin.context.route("**/*", (route) => {
  if (new URL(route.request().url()).origin === url) return route.continue();
  foreign.push(route.request().url());
  return route.abort();
});

// goTo opens a page of the UI by its menu.
async function goTo(name) {
  await admin.page.evaluate((hash) => (location.hash = hash), `#/${name}`);
}

const row = (id) => admin.page.locator("tbody tr", { hasText: id });
const number = (card, name, cell = "h2") =>
  admin.page.locator(".v-card", { hasText: card }).locator("tr", { hasText: name }).locator(cell).first();

// shows waits until an element has this text.
async function shows(locator, want) {
  const limit = Date.now() + 30_000;
  for (let got; ; ) {
    got = (await locator.textContent()).trim();
    if (got === want) return;
    if (Date.now() > limit) assert.equal(got, want);
    await admin.page.waitForTimeout(200);
  }
}

await step("the page needs no slash, and asks for the password", async () => {
  await admin.page.goto(page.slice(0, -1));
  assert.equal(admin.page.url().split("#")[0], page);
  await admin.page.getByLabel("Password").waitFor();
  assert.equal(await admin.page.getByLabel("Server URL").inputValue(), url);
  await shoot(admin, "admin-sign-in");
});

async function signIn(password) {
  await admin.page.getByLabel("Username").fill("admin");
  await admin.page.getByLabel("Password").fill(password);
  await admin.page.getByRole("button", { name: "Connect", exact: true }).click();
}

await step("a wrong password is refused", async () => {
  await signIn("guess");
  await ask("refused");
  await text(/invalid credentials/i);
});

await step("the right one shows the dashboard of both servers", async () => {
  await signIn(password);
  await admin.page.getByLabel("Password").waitFor({ state: "hidden" });
  await shows(number("Servers", /^\s*Healthy/i), "2");
  await shows(number("Clients", "WebSocket"), "2"); // Ann and the page
  await shows(number("Clients", "HTTP long-polling"), "1"); // Ben
  await shows(number("Namespaces", "/", "td:nth-child(2)"), "2");
  await admin.page.waitForTimeout(1500); // the animation of the charts
  await shoot(admin, "admin-dashboard");
});

await step("sockets of both servers", async () => {
  await goTo("sockets/");
  await row(ann).getByText("WebSocket").waitFor();
  await row(ben).getByText("HTTP long-polling").waitFor();
  await shoot(admin, "admin-sockets");
});

await step("a socket in detail", async () => {
  await goTo(`n/${encodeURIComponent("/")}/sockets/${ben}`);
  await text(ben);
  await text("lobby");
  await shoot(admin, "admin-socket");
});

await step("rooms, with the members on both servers", async () => {
  await goTo("rooms/");
  await shows(row("lobby").locator("td").nth(2), "2");
  await shoot(admin, "admin-rooms");
});

await step("servers", async () => {
  await goTo("servers/");
  await row("gin").waitFor();
  await row("fiber").waitFor();
  await shoot(admin, "admin-servers");
});

await step("events of clients, and to them", async () => {
  await goTo("events/");
  await ask("speak");
  await text("hello-from-ann");
  await text("hello-from-ben");
  await text("answer-to-ben");
  await shoot(admin, "admin-events");
});

await step("the sign-in survives a reload", async () => {
  await goTo("");
  await admin.page.reload();
  await shows(number("Servers", /^\s*Healthy/i), "2");
  assert.equal(await admin.page.getByLabel("Password").isVisible(), false);
});

await step("the button disconnects a socket of either server", async () => {
  for (const [name, id] of Object.entries({ ann, ben })) {
    await goTo("sockets/");
    await row(id).getByRole("button").click(); // this opens the page of the socket as well
    await ask(`disconnected ${name}`);
  }
  await goTo("sockets/");
  await text("No data available");
  await admin.page.waitForFunction((ids) => !ids.some((id) => document.body.innerText.includes(id)), [ann, ben]);
  await shoot(admin, "admin-disconnected");
});

assert.deepEqual(foreign, [], "something was asked of other servers");
await finish(browser, [admin]);
