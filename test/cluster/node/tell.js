// tell writes a line for the test.
export function tell(what) {
  process.stdout.write(JSON.stringify(what) + "\n");
}
