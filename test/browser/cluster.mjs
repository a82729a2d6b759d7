// What people do with the demo of a cluster, on three servers, some of which are killed.
import assert from "node:assert/strict";
import { Person } from "./person.mjs";
import { ask, finish, launch, shoot, step, url } from "./script.mjs";

const browser = await launch();
const ann = await Person.arrive(browser, url, "Ann Lindqvist");
const ben = await Person.arrive(browser, url, "Ben Okafor");
const cleo = await Person.arrive(browser, url, "Cleo");
const dora = await Person.arrive(browser, url, "Dora"); // her page polls
dora.tolerates = /400 \(Bad Request\)/; // HAProxy takes her polls to a server that does not know her
const everybody = [ann, ben, cleo, dora];

const on = (name) => (server) => server === name;

async function allSee(text, but) {
  for (const person of everybody) if (person !== but) await person.sees(person.message(text));
}

// comesBack waits until a page is connected to another server.
async function comesBack(person, from, transport = "websocket") {
  const start = performance.now();
  await person.misses(`#fact-server:text-is("server ${from}")`);
  await person.sees(`#link[data-transport=${transport}]`);
  const time = Math.round(performance.now() - start);
  console.log(`${person.name} is at server ${await person.server()} again after ${time} ms`);
  assert.equal(await person.page.locator(".divider.restart").count(), 0, "the chat did not begin anew");
}

await step("three servers have a page each, and one polls", async () => {
  for (const [person, server] of [[ann, "a"], [ben, "b"], [cleo, "c"]]) {
    await person.signIn();
    await person.moveTo(on(server));
  }
  await dora.signIn();
  await dora.moveTo(on("b"), { transport: "polling" });
});

await step("they see each other", async () => {
  for (const person of everybody) {
    for (const { name } of everybody) await person.sees(`#here .person:has-text("${name}")`);
    assert.equal(await person.page.locator("#here .person").count(), everybody.length);
  }
});

await step("a name is taken on all servers", async () => {
  const another = await Person.arrive(browser, url, "Cleo");
  await another.page.goto(url);
  await another.page.getByLabel("Your name").fill("cleo");
  await another.page.getByRole("button", { name: "Sign in" }).click();
  await another.page.getByText("is here already").waitFor();
  await another.page.close();
});

await step("what one says, all hear", async () => {
  for (const person of everybody) {
    const message = await person.say(`${person.name} is here.`);
    await allSee(`${person.name} is here.`, person);
    await person.sees(message.and(person.page.locator("[data-state=delivered]")));
  }
});

await step("a message has the names of readers on other servers", async () => {
  const tick = ann.message("Ann Lindqvist is here.").locator(".tick");
  await ann.sees(tick.and(ann.page.locator('[title*="Ben Okafor"][title*="Cleo"][title*="Dora"]')));
});

await step("typing shows on other servers", async () => {
  await cleo.page.locator("#text").pressSequentially("Hm");
  await Promise.all([ann.sees("#typing .dots"), ben.sees("#typing .dots")]);
  await ben.page.locator("#text").pressSequentially("Er");
  await cleo.sees("#typing .dots");
  await cleo.page.locator("#text").fill("");
  await ben.page.locator("#text").fill("");
  await shoot(ann, "cluster");
});

await step("a picture comes from another server", async () => {
  await ann.attach(await ann.draw(480, 300));
  await ann.say("The sky");
  for (const person of [ben, cleo, dora]) assert.deepEqual(await person.pixels(person.message("The sky")), [480, 300]);
  for (const server of ["b", "c"]) { // out of the history
    const page = await ben.tab();
    await page.locator("#link[data-transport=websocket]").waitFor();
    await ben.moveTo(on(server), { page });
    await page.locator(".message .picture img").waitFor();
    await page.close();
  }
});

await step("a REST call reaches all servers", async () => {
  await ann.say("/announce Version 2 is out");
  for (const person of everybody) await person.sees('.announcement:has-text("Version 2 is out")');
});

await step("a server is killed, and its pages go on at others", async () => {
  await ask("kill b");
  await ann.say("Ben, are you there?");
  await Promise.all([comesBack(ben, "b"), comesBack(dora, "b", "polling")]);
  await allSee("Ben, are you there?", ann);
  await ben.say("I am.");
  await allSee("I am.", ben);
  await dora.say("So am I.");
  await allSee("So am I.", dora);
  for (const person of everybody) assert.equal(await person.page.locator("#here .person").count(), everybody.length);
});

await step("a server that starts knows what was said", async () => {
  await ask("start b");
  await ben.moveTo(on("b"));
  for (const text of ["Ann Lindqvist is here.", "Cleo is here.", "I am."]) await ben.sees(ben.message(text));
  await ben.say("I am back.");
  await allSee("I am back.", ben);
  assert.equal(await ben.page.locator("#here .person").count(), everybody.length);
});

await step("the server in Node.js is killed, and its page goes on", async () => {
  await ask("kill c");
  await comesBack(cleo, "c");
  await cleo.say("Node.js has gone.");
  await allSee("Node.js has gone.", cleo);
});

await step("who signs out at one server has signed out at all", async () => {
  ann.tolerates = /401 \(Unauthorized\)/; // a page may be asking for a token at that moment
  await ann.moveTo(on("a"));
  const tab = await ann.tab();
  await tab.locator("#link[data-transport=websocket]").waitFor();
  await ann.moveTo(on("b"), { page: tab });
  await tab.getByRole("button", { name: "Sign out" }).click();
  await ann.page.waitForURL("**/login");
  for (const person of [ben, cleo, dora]) await person.misses('.person:has-text("Ann Lindqvist")');
});

await finish(browser, everybody);
