// Runs the scenarios that are its arguments, one after the other in one process.

for (const file of process.argv.slice(2)) {
  await import(`../${file}`);
}
