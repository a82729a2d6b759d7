import { io } from "socket.io-client";

// connect keeps a socket signed in. freshToken asks your server for a token that
// is good for some time, and fails when the user has to sign in again.
export function connect(url, { freshToken, signIn, ...options }) {
  const token = () => freshToken().catch(() => undefined);

  // A function is asked each time that the client connects, so that it has a fresh
  // token when it comes back after a night without network.
  const socket = io(url, { ...options, auth: async (send) => send({ token: await token() }) });

  socket.on("token_expiring", async () => {
    const fresh = await token();
    if (fresh) socket.emit("authenticate", fresh);
  });

  // Who was disconnected or refused by the server has to ask to come back.
  let again = false;
  socket.on("token_expired", () => (again = true));
  socket.on("token_revoked", signIn);
  socket.on("disconnect", () => again && socket.connect());
  socket.on("connect", () => (again = false));
  socket.on("connect_error", (err) => {
    switch (err.data?.code) {
      case "auth_unavailable":
      case "token_expired": // on its way
        setTimeout(() => socket.connect(), 1000 + 4000 * Math.random());
        break;
      case "token_missing":
      case "token_invalid":
      case "token_revoked":
        signIn();
    } // without a code it is the network, which the client tries again by itself
  });
  return socket;
}
