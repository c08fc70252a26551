/** How the number is, what is being sent, and what was. */

import { Gateway, NoAnswer, Refused } from "../api.js";
import { busy, fillWith, h, icon, note, pill, renew } from "../dom.js";
import { follow, read } from "../store.js";
import { needsScan } from "../telling.js";
import { campaignState, counted, duration, number, sentence, sessionState, spaced, titleOf, when } from "../words.js";

const DAY = 86_400;
/** Of a bar, in its order: what it is called, what of a campaign it counts. `sent` counts all that left. */
const SEGMENTS = [
  ["Read", "read", (one) => one.read],
  ["Delivered", "delivered", (one) => one.delivered - one.read],
  ["Sent", "sent", (one) => one.sent - one.delivered],
  ["Failed", "failed", (one) => one.failed + one.unconfirmed + one.skipped],
];

export async function showCampaigns(view, context) {
  const gateway = new Gateway(await read("settings"));
  const top = h("div", { class: "list" }), open = h("div", { class: "list" }), recent = h("div", { class: "list" }), problem = h("div", {});
  let shown = "", left = new Map();
  fillWith(view, h("h1", { class: "unseen" }, "Campaigns"), top, problem, open, recent);

  function draw(live) {
    const now = JSON.stringify({ ...live, seenAt: 0 });
    if (now === shown || view.contains(document.activeElement?.closest("[data-sure]"))) return;
    shown = now;
    left = new Map((live?.open ?? []).map((one) => [one.campaign_id, one.pending]));
    renew(top, reach(live, context), live?.session ? number_(live.session, gateway) : null);
    if (!live?.seenAt) return fillWith(open, live?.reach === "here" || !live ? h("div", { class: "spinner", role: "img", "aria-label": "Loading" }) : null);
    keepFocus(() => {
      renew(open, live.open.length ? live.open.map((one) => running(one, steer, (id) => left.get(id) ?? 0)) : empty(live));
      renew(recent, live.recent.length ? [h("h2", {}, "Before"), h("section", { class: "card rows" }, live.recent.map(ended))] : null);
    });
  }

  async function steer(id, verb, button) {
    fillWith(problem);
    await busy(button, async () => {
      try {
        await gateway.steer(id, verb);
      } catch (error) {
        if (!(error instanceof NoAnswer || error instanceof Refused)) throw error;
        fillWith(problem, note("red", error.message));
      }
      shown = "";
      await context.ask("look");
    });
  }

  const end = follow("live", draw);
  draw(await read("live"));
  await context.ask("look");
  return end;
}

/** What was focused is drawn anew: its successor has the focus then. */
function keepFocus(drawing) {
  const name = document.activeElement?.dataset?.button;
  drawing();
  if (name) document.querySelector(`[data-button="${CSS.escape(name)}"]`)?.focus();
}

function reach(live, { go }) {
  if (live?.reach === "away") return note("amber", h("strong", {}, "The gateway is away. "), live.seenAt ? `This is how it was at ${when(live.seenAt)}.` : "It says here when it is back.");
  if (live?.reach === "unauthorized") return note("red", h("strong", {}, "The gateway does not know this number's token any more. "), h("a", { href: "#pair" }, "Link it again"));
  if (live?.reach === "broken") return note("red", live.problem);
  const scan = needsScan(live);
  if (!scan && !["FAILED", "STOPPED"].includes(live?.session?.status)) return null;
  return h("div", { class: `note ${scan ? "red" : "amber"} scan`, role: "alert" }, h("div", {}, h("strong", {}, "Nothing can be sent. "), live.session.message || "The phone has to scan again."), h("button", { type: "button", class: "primary", onclick: () => go("pair") }, "Scan again"));
}

function number_(session, gateway) {
  const [word, colour] = sessionState(session.status);
  const initials = (session.name || "?").split(/\s+/).map((part) => part[0]).slice(0, 2).join("").toUpperCase();
  return h(
    "section",
    { class: "card sender" },
    h("span", { class: `avatar ${colour}`, "aria-hidden": "true" }, initials),
    h("div", { class: "grow" }, h("strong", {}, session.name || "Your number"), h("span", { class: "muted" }, spaced(gateway.number))),
    h("div", { class: "end" }, pill(word, colour), expiry(session)),
  );
}

function expiry({ expires_in_seconds: seconds, status }) {
  if (status !== "CONNECTED" || seconds === null || seconds === undefined) return null;
  const kind = seconds <= 0 ? "red" : seconds < 2 * DAY ? "amber" : "";
  return h("span", { class: `until ${kind}`, title: "When WhatsApp may log it out, if nothing is done" }, seconds > 0 ? `${duration(seconds)} left` : "may end any time");
}

function running(one, steer, leftOf) {
  const [word, colour] = campaignState(one.status);
  const gone = one.total - one.pending;
  const share = one.total ? (gone / one.total) * 100 : 0;
  const waiting = one.waiting[0];
  return h(
    "article",
    { class: "card campaign" },
    h("div", { class: "row" }, h("h2", { dir: "auto" }, titleOf(one)), pill(word, colour)),
    h("p", { class: "muted" }, `${number(gone)} of ${counted(one.total, "message")}`, one.estimated_finish && one.status !== "paused" ? ` · done by ${when(one.estimated_finish)}` : ""),
    bar(one, share),
    waiting ? h("p", { class: "why" }, sentence(waiting.message)) : null,
    one.status === "paused" && one.reason ? h("p", { class: "why" }, sentence(one.reason)) : null,
    h(
      "div",
      { class: "actions" },
      one.status === "paused" ? action(one, "resume", "play", "Resume", steer) : action(one, "pause", "pause", "Pause", steer),
      cancel(one.campaign_id, steer, leftOf),
    ),
  );
}

function bar(one, share) {
  const segments = SEGMENTS.map(([label, kind, count]) => [label, kind, Math.max(0, count(one))]);
  const label = segments.filter(([, , count]) => count).map(([name, , count]) => `${name} ${number(count)}`).join(", ") || "Nothing sent yet";
  return [
    h(
      "div",
      { class: "row bar-row" },
      h("div", { class: "segments", role: "img", "aria-label": label }, segments.map(([, kind, count]) => {
        const segment = h("span", { class: `fill-${kind}` });
        segment.style.width = `${one.total ? (count / one.total) * 100 : 0}%`;
        return segment;
      })),
      h("strong", { class: "percent" }, `${share < 100 ? Math.floor(share) : 100}%`),
    ),
    h("ul", { class: "legend" }, segments.map(([name, kind, count]) => h("li", { class: `dot-${kind}` }, name, " ", h("b", {}, number(count))))),
  ];
}

function action(one, verb, picture, label, steer) {
  const button = h("button", { type: "button", "data-button": `${verb} ${one.campaign_id}`, onclick: () => steer(one.campaign_id, verb, button) }, icon(picture), label);
  return button;
}

/** What cannot be taken back takes a second click. */
function cancel(id, steer, leftOf) {
  let sure = false;
  const button = h("button", { type: "button", class: "quiet danger", "data-button": `cancel ${id}`, onclick }, "Cancel");
  button.addEventListener("blur", () => {
    sure = false;
    delete button.dataset.sure;
    button.textContent = "Cancel";
  });
  async function onclick() {
    if (sure) {
      sure = false;
      delete button.dataset.sure;
      return steer(id, "cancel", button);
    }
    sure = true;
    button.dataset.sure = "";
    button.textContent = `Cancel ${counted(leftOf(id), "message")}?`;
  }
  return button;
}

function ended(one) {
  const [word, colour] = campaignState(one.status);
  const trouble = one.failed + one.unconfirmed;
  return h(
    "div",
    { class: "row ended" },
    h("div", { class: "grow" }, h("strong", { dir: "auto" }, titleOf(one)), h("span", { class: "muted" }, `${number(one.sent)} of ${number(one.total)} sent`, one.read ? ` · ${number(one.read)} read` : "", trouble ? ` · ${number(trouble)} not sure or failed` : "", one.end_time ? ` · ${when(one.end_time)}` : "")),
    pill(word, colour),
  );
}

function empty(live) {
  if (needsScan(live)) return null;
  return h("section", { class: "card empty" }, h("p", {}, "Nothing is being sent."), h("a", { class: "button primary", href: "#compose" }, icon("send"), "New campaign"));
}
