// What two people and a phone do with the demo, step by step. Every step ends
// when the page shows what it should; one that does not ends the script.
import assert from "node:assert/strict";
import { Person } from "./person.mjs";
import { ask, finish, launch, shoot, step, url } from "./script.mjs";

const browser = await launch();
const ann = await Person.arrive(browser, url, "Ann Lindqvist", { colorScheme: "light" });
const ben = await Person.arrive(browser, url, "Ben Okafor", { colorScheme: "dark" });
const cleo = await Person.arrive(browser, url, "Cleo", { viewport: { width: 390, height: 800 }, isMobile: true, hasTouch: true });

let limited = 0;
ann.page.on("websocket", (socket) => {
  socket.on("framereceived", ({ payload }) => {
    if (String(payload).includes("rate_limited")) limited++;
  });
});

await step("the page asks who is there", async () => {
  await ann.page.goto(url);
  assert.match(ann.page.url(), /\/login$/);
  await shoot(ann, "login-light");
});

await step("transport becomes websocket", async () => {
  await Promise.all([ann.signIn(), ben.signIn()]);
  const timeline = await ann.page.locator("#timeline").textContent();
  assert.match(timeline, /Opened over polling.*Upgraded to websocket/s);
  await shoot(ann, "empty");
});

await step("tokens are renewed without a new connection", async () => {
  const timeline = ann.page.locator("#timeline");
  const until = ann.page.locator("#fact-token");
  const first = await until.textContent();
  await ann.sees('#timeline li:has-text("New token, on the same connection")');
  assert.match(await timeline.textContent(), /Signed in by a token.*The token ends in \d+ seconds.*New token/s);
  assert.doesNotMatch(await timeline.textContent(), /Disconnected/);
  assert.notEqual(await until.textContent(), first);
  await ann.page.locator("#link").click();
  await ann.page.locator("#connection:popover-open").waitFor();
  await shoot(ann, "token");
  await ann.page.keyboard.press("Escape");
});

await step("they see each other", async () => {
  await ann.sees('#here .person:has-text("Ben Okafor")');
  await ben.sees('#here .person:has-text("Ann Lindqvist")');
});

await step("two tabs are one person", async () => {
  const tab = await ann.tab();
  await tab.locator("#link[data-transport=websocket]").waitFor();
  await tab.locator('#here .person:has-text("Ben Okafor")').waitFor();
  assert.equal(await tab.locator("#here .person").count(), 2);
  const message = await ann.say("Seen in both of my tabs");
  await tab.locator('.message.mine:has-text("Seen in both of my tabs")').waitFor();
  await ann.sees(message.and(ann.page.locator("[data-state=delivered]")));
  await tab.close();
});

await step("a message gets one tick, then two", async () => {
  await ben.enter("pictures");
  await ann.misses('#here .person:has-text("Ben Okafor")');
  const message = await ann.say("The new build is on staging.");
  await ann.sees(message.and(ann.page.locator("[data-state=sent]")));
  await ben.enter("general");
  await ben.sees(ben.message("The new build is on staging."));
  await ann.sees(message.and(ann.page.locator("[data-state=delivered]")));
  assert.equal(await message.locator(".tick").getAttribute("title"), "Delivered to Ben Okafor");
});

await step("markup is text", async () => {
  const evil = `<img src=x onerror="alert(1)"> & <b>"bold"</b>`;
  await ann.say(evil);
  const seen = await ben.sees(ben.page.locator(".message .text", { hasText: "onerror" }));
  assert.equal(await seen.textContent(), evil);
});

await step("typing shows and ends", async () => {
  await ben.page.locator("#text").pressSequentially("Nice, lo");
  await ann.sees("#typing .dots");
  assert.equal(await ann.page.locator("#typing").textContent(), "Ben Okafor is typing");
  await ben.say("Nice, looking at it now.");
  await ann.misses("#typing .dots");
});

await step("a picture arrives as it is", async () => {
  await ann.attach(await ann.draw(480, 300));
  const sent = await ann.say("The sky from the office at six");
  assert.deepEqual(await ben.pixels(ben.message("The sky from the office at six")), [480, 300]);
  await ann.sees(sent.and(ann.page.locator("[data-state=delivered]")));
});

await step("a picture comes with the history", async () => {
  await cleo.signIn();
  assert.deepEqual(await cleo.pixels(cleo.message("The sky from the office at six")), [480, 300]);
});

await step("a picture too large is made smaller", async () => {
  await ben.enter("pictures");
  await ann.enter("pictures");
  await ann.drop(await ann.draw(2000, 1500, true));
  await ann.say("Dropped");
  const [width, height] = await ben.pixels(ben.message("Dropped"));
  assert.ok(width <= 1600 && Math.abs(width / height - 4 / 3) < 0.01, `${width} × ${height}`);
  await Promise.all([ann.enter("general"), ben.enter("general")]);
});

await step("rooms keep to themselves", async () => {
  await ann.page.locator("#room-name").fill("Side Room");
  await ann.page.locator("#room-name").press("Enter");
  await ann.enter("side-room");
  await ann.say("Only for the side room");
  await ben.sees('#rooms a[aria-label*="side-room, 1 person, 1 unread"]');
  assert.equal(await ben.message("Only for the side room").count(), 0);
  await ben.enter("side-room");
  await ben.sees(ben.message("Only for the side room"));
  assert.equal(await ben.message("The new build is on staging.").count(), 0);
  await Promise.all([ann.enter("general"), ben.enter("general")]);
});

await step("a REST call reaches the room", async () => {
  await ann.say("/announce Version 1.4 is out");
  await ben.sees(ben.page.locator('.announcement:has-text("Version 1.4 is out")'));
  await ben.page.locator("#text").pressSequentially("On it");
  await ann.page.locator("#text").pressSequentially("And");
  await Promise.all([ann.sees("#typing .dots"), ben.sees("#typing .dots")]);
  await Promise.all([shoot(ann, "light"), shoot(ben, "dark"), shoot(cleo, "phone")]);
});

await step("the server's restart is survived", async () => {
  await ask("stop");
  await Promise.all([ann.sees("#banner[data-kind=lost]"), ben.sees("#banner[data-kind=lost]")]);
  const message = await ann.say("Written while the server was away");
  await ann.sees(message.and(ann.page.locator("[data-state=pending]")));
  await shoot(ann, "restart-light");
  await ask("start");
  await ben.sees(ben.message("Written while the server was away"));
  await ann.sees(message.and(ann.page.locator("[data-state=delivered]")));
  await ann.sees(".divider.restart");
  await Promise.all([ann.sees('#banner[data-kind=""]'), ben.sees('#banner[data-kind=""]')]);
  await ben.say("Got it.");
  await ann.sees(ann.message("Got it."));
  await shoot(ben, "after-dark");
});

await step("who writes too fast has to wait, and loses nothing", async () => {
  const hurry = Array.from({ length: 30 }, (_, i) => `Hurry, number ${i + 1}`);
  await ann.page.evaluate((texts) => {
    const input = document.querySelector("#text");
    for (const text of texts) {
      input.value = text;
      input.form.requestSubmit();
    }
  }, hurry);
  await ann.sees(ann.message(hurry.at(-1)).and(ann.page.locator("[data-state=delivered]")));
  const texts = await ben.page.locator(".message .text", { hasText: "Hurry" }).allTextContents();
  assert.deepEqual(texts, hurry);
  assert.ok(limited > 0, "nothing was too fast");
});

await step("signing out ends all tabs", async () => {
  const tab = await ann.tab();
  await tab.locator("#link[data-transport=websocket]").waitFor();
  await tab.getByRole("button", { name: "Sign out" }).click();
  await ann.page.waitForURL("**/login");
  await ben.misses('.person:has-text("Ann Lindqvist")');
});

await finish(browser, [ann, ben, cleo]);
