/** Whether a webhook's `X-Webhook-Signature` is right: the hex HMAC-SHA256 of its body, as it came, with the secret. */
export async function verifyWebhook(payload: string | Uint8Array<ArrayBuffer>, signature: string, secret: string): Promise<boolean> {
  const encode = new TextEncoder();
  const given = /^([0-9a-f]{2}){32}$/i.test(signature) ? signature.match(/../g)! : [];
  const key = await crypto.subtle.importKey("raw", encode.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  const bytes = Uint8Array.from(given, (pair) => parseInt(pair, 16));
  return crypto.subtle.verify("HMAC", key, bytes, typeof payload === "string" ? encode.encode(payload) : payload);
}
