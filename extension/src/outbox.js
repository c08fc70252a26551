/**
 * The one campaign that is being given to the gateway.
 *
 * Its text and its key are written down before the first try, and both stay the same for every later one: so however
 * often it is tried, the gateway makes one campaign of it. It is `ready`, `sending`, and then `sent`; `refused` (surely
 * nothing was queued); or `unclear` (nobody can tell: the connection was lost, or the browser ended meanwhile).
 * Only the service worker tries, so that a closed page ends nothing.
 */

import { Gateway, NoAnswer, Refused } from "./api.js";
import { read, write } from "./store.js";

/** Answers that say that nothing was queued. Others (500, 502, 503, 504) may come after it was. */
const SURELY_NOT = new Set([400, 401, 402, 403, 404, 405, 409, 413, 415, 422, 429]);

let trying = null;

/** Write a campaign down; it is tried by `deliver`. */
export async function enclose(request, about) {
  await write("outbox", { state: "ready", key: crypto.randomUUID(), body: JSON.stringify(request), about, tries: 0 });
}

/** Try to give it to the gateway, unless that is under way, or there is nothing to be given. */
export function deliver() {
  trying ??= attempt().finally(() => {
    trying = null;
  });
  return trying;
}

/** What a worker that ended meanwhile had under way: nobody heard the answer. */
export async function recover() {
  const letter = await read("outbox");
  if (letter?.state === "sending" && trying === null) {
    await write("outbox", { ...letter, state: "unclear", problem: "The browser ended before the gateway had answered." });
  }
}

async function attempt() {
  const [letter, settings] = [await read("outbox"), await read("settings")];
  if (!letter || !["ready", "unclear"].includes(letter.state)) return;
  const tried = { ...letter, tries: letter.tries + 1, problem: "" };
  await write("outbox", { ...tried, state: "sending" });
  try {
    const answer = await new Gateway(settings).send(letter.body, letter.key);
    await forgetDraft();
    await write("outbox", { ...tried, body: "", state: "sent", answer: shortened(answer) });
  } catch (error) {
    if (!(error instanceof NoAnswer || error instanceof Refused)) throw error;
    const surelyNot = error instanceof Refused && SURELY_NOT.has(error.status);
    const errors = (error.errors ?? []).slice(0, 20);
    await write("outbox", { ...tried, state: surelyNot ? "refused" : "unclear", problem: error.message, code: error.code ?? "", errors });
  }
}

async function forgetDraft() {
  await write("draft", null);
  await write("file", null);
}

function shortened({ campaign_id, total, duplicates, opted_out_count, invalid, estimated_finish }) {
  return { campaign_id, total, duplicates, opted_out_count, invalid_count: invalid.length, estimated_finish };
}
