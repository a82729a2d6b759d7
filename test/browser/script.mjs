// What the scripts have in common: the browser, and the test that runs them.
import assert from "node:assert/strict";
import readline from "node:readline";
import { chromium } from "playwright-core";

export const url = process.env.URL;

const screenshots = process.env.SIOPLUG_SCREENSHOTS;
const answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

export async function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: [
      "--headless",
      "--no-sandbox", // Chromium refuses to run as root with one
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

// ask lets the test do something with the server.
export async function ask(what) {
  console.log(what);
  await answers.next();
}

export async function step(name, act) {
  console.log(`step ${name}`);
  await act();
}

export async function shoot(person, name) {
  if (screenshots) await person.page.screenshot({ path: `${screenshots}/${process.env.FRAMEWORK}-${name}.png` });
}

// finish ends the script, successfully if no page complained.
export async function finish(browser, people) {
  for (const { name, complaints } of people) assert.deepEqual(complaints, [], `${name}'s page complained`);
  await browser.close();
  process.exit(0); // standard input would keep it waiting
}
