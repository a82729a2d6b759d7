// The tokens of ../../signin: JSON Web Tokens, signed with HMAC-SHA-256.
import { createHmac, timingSafeEqual } from "node:crypto";

// verify returns the claims of a token for sockets, or undefined if it is none of ours or
// has ended.
export function verify(key, token) {
  const [header, payload, signature, rest] = String(token).split(".");
  if (!signature || rest !== undefined) return undefined;
  const want = createHmac("sha256", key).update(`${header}.${payload}`).digest();
  const got = Buffer.from(signature, "base64url");
  if (got.length !== want.length || !timingSafeEqual(got, want)) return undefined;
  const claims = JSON.parse(Buffer.from(payload, "base64url"));
  const { alg } = JSON.parse(Buffer.from(header, "base64url"));
  const good = alg === "HS256" && [claims.aud].flat().includes("sockets") && claims.exp * 1000 > Date.now();
  return good ? claims : undefined;
}
