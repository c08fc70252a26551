/** What became of the campaign that was given to the gateway; until that is clear, nothing else can be sent. */

import { busy, fillWith, h, icon, note } from "../dom.js";
import { write } from "../store.js";
import { counted, titleOf, when } from "../words.js";

const LISTED = 8;

export function outboxView(context, formOf) {
  const element = h("div", { class: "outbox", role: "status" });
  let before = null;

  async function show(letter) {
    const state = letter?.state ?? null;
    formOf().hidden = ["ready", "sending", "unclear", "sent"].includes(state);
    fillWith(element, state ? CARDS[state](letter, context) : null);
    if (before !== null && before !== "sent" && state === null) await context.again(); // a fresh one
    if (state !== before && state !== null) element.querySelector("button, a")?.focus();
    before = state;
  }

  return { element, show };
}

const CARDS = {
  ready: (letter, context) => card("amber", "Not sent yet", [`${about(letter)} is kept in this browser.`], [retry(context, "Send it now"), drop("Back to the draft")]),
  sending: (letter) => h("section", { class: "card waiting" }, h("div", { class: "spinner", role: "img", "aria-label": "Sending" }), h("div", {}, h("h2", {}, "Giving it to the gateway…"), h("p", { class: "muted" }, `${about(letter)}. You may close this page.`))),
  unclear: (letter, context) => card("amber", "No clear answer", [
    h("p", {}, h("strong", {}, letter.problem), ` ${about(letter)} may have arrived or not. It is kept in this browser.`),
    h("p", {}, "Sending it again is safe: it has the same key, so the gateway makes one campaign of it and nobody gets it twice."),
  ], [retry(context, "Send again"), drop("Give it up", "It may have been sent. Give it up all the same?")]),
  refused: (letter) =>
    h("div", { class: "stack" }, note("red", h("strong", {}, "Nothing was sent. "), why(letter), letter.errors?.length ? h("ul", {}, letter.errors.slice(0, LISTED).map((one) => h("li", {}, `${one.field}: ${one.message}`))) : null), h("div", { class: "actions" }, drop("All right"))),
  sent: ({ answer, ...letter }, context) => h(
    "section",
    { class: "card success" },
    h("div", { class: "tick" }, icon("check")),
    h("h2", {}, "The gateway has it"),
    h("p", {}, h("strong", {}, counted(answer.total, "message")), ` of “${titleOf(letter.about)}”`, answer.estimated_finish ? `, done by ${when(answer.estimated_finish)}` : ""),
    h("p", { class: "muted" }, "It is sent from there: you may close this browser."),
    h("div", { class: "actions" }, h("button", { type: "button", class: "primary", onclick: () => write("outbox", null).then(() => context.go("home")) }, "Watch it"), h("button", { type: "button", onclick: () => write("outbox", null).then(() => context.again()) }, "Another one")),
  ),
};

const why = ({ code, problem }) => (code === "SESSION_NOT_CONNECTED" ? ["Your number is not connected. ", h("a", { href: "#pair" }, "Scan again")] : problem);

const about = ({ about: one }) => `“${titleOf(one)}” for ${counted(one.count, "recipient")}`;

function card(kind, title, text, actions) {
  return h("section", { class: `card edge ${kind}` }, h("h2", {}, title), text, h("div", { class: "actions" }, actions));
}

function retry(context, label) {
  const button = h("button", { type: "button", class: "primary", onclick: () => busy(button, () => context.ask("send")) }, icon("send"), label);
  return button;
}

/** Forget it; where that should be thought over, the second click does. */
function drop(label, warning = "") {
  const button = h("button", { type: "button", onclick }, label);
  let warned = !warning;
  async function onclick() {
    if (warned) return write("outbox", null);
    warned = true;
    button.textContent = warning;
    button.classList.add("danger");
  }
  return button;
}
