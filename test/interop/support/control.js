// The scenarios' line to the Go test: it can stop and start the server, and it
// tells what the server's handlers saw of a client that is gone.

const url = process.env.INTEROP_CONTROL_URL;

/** How long to wait for what the server does or notes, in milliseconds: it may take its time to stop. */
const patience = 20_000;

async function call(path) {
  const waiting = AbortSignal.timeout(patience);
  const response = await fetch(url + path, { method: "POST", signal: waiting }).catch((err) => {
    throw new Error(`${path}: ${waiting.aborted ? `nothing within ${patience} ms` : err}`, { cause: err });
  });
  if (!response.ok) {
    throw new Error(`${path}: ${response.status} ${await response.text()}`);
  }
  return response.text();
}

/** Shuts the server down. Its port is closed when this returns. */
export const stop = () => call("/stop");

/** Starts a new server on the same port. */
export const start = () => call("/start");

/** Returns what the server noted under key, waiting until it has. */
export const noted = (key) => call(`/noted/${encodeURIComponent(key)}`);

/** Begins to drain the old server of a rolling update, when its handlers are busy. */
export const drain = () => call("/drain");

/** Returns a report when the old server has drained and ended. */
export const drained = () => call("/drained");
