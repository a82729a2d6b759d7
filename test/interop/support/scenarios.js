// Runs the scenarios that are its arguments, one after the other in one process.

// The Go test's patience is at an end.
process.once("SIGTERM", () => {
  console.error("Node still has", process.getActiveResourcesInfo().join(", ") || "nothing to do");
  process.exit(1);
});

for (const file of process.argv.slice(2)) {
  await import(`../${file}`);
}
