// Fills in the dialog of the Admin UI, which keeps its fields in the browser. It does nothing
// if the user has chosen another server.
(() => {
  const values = VALUES;
  values.server_url ||= location.origin;
  try {
    const chosen = localStorage.getItem("server_url");
    if (chosen && chosen !== values.server_url) return;
    for (const name in values) localStorage.setItem(name, values[name]);
  } catch {
    // Without storage the user fills in the dialog.
  }
})();
