/** Settings: where the gateway is, whose number it is, what is told, and how to leave. */

import { Gateway, NoAnswer, Refused, permissionFor } from "./api.js";
import { busy, fillWith, h, note } from "./dom.js";
import { follow, forgetAll, read, write } from "./store.js";
import { spaced } from "./words.js";

const view = document.getElementById("view");
const told = h("div", { role: "status" });

async function draw() {
  const settings = (await read("settings")) ?? {};
  fillWith(
    document.getElementById("bar"),
    h("div", { class: "brand" }, h("img", { src: "icons/icon.svg", alt: "", width: 28, height: 28 }), h("div", { class: "who" }, h("strong", {}, "WAHA Gateway"), h("span", {}, `Version ${chrome.runtime.getManifest().version}`))),
    h("a", { class: "button", href: "app.html#home" }, "Open"),
  );
  fillWith(view, h("h1", {}, "Settings"), told, gatewayCard(settings), numberCard(settings), tellingCard(settings), leavingCard(settings));
}

function gatewayCard({ address }) {
  const test = h("button", { type: "button", disabled: !address, onclick: () => busy(test, () => tryIt(address)) }, "Test the connection");
  return h("section", { class: "card" }, h("h2", {}, "Gateway"), h("p", { class: address ? "mono" : "muted" }, address || "Not set yet"), h("div", { class: "actions" }, h("a", { class: "button", href: "app.html#address" }, address ? "Change" : "Set it up"), test));
}

async function tryIt(address) {
  try {
    const { status, version } = await new Gateway({ address }).health();
    fillWith(told, note("green", `The gateway answers: ${status}, version ${version}.`));
  } catch (error) {
    if (!(error instanceof NoAnswer || error instanceof Refused)) throw error;
    fillWith(told, note("red", error.message));
  }
}

function numberCard({ address, number, token, paired }) {
  const shown = h("p", { class: "mono token", hidden: true }, token || "");
  const reveal = h("button", { type: "button", "aria-expanded": "false", onclick: () => {
    shown.hidden = !shown.hidden;
    reveal.textContent = shown.hidden ? "Show the token" : "Hide the token";
    reveal.setAttribute("aria-expanded", String(!shown.hidden));
  } }, "Show the token");
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Number"),
    h("p", { class: number ? "mono" : "muted" }, number ? spaced(number) : "Not set yet"),
    number && !paired ? note("amber", "It is not linked yet.") : null,
    token ? [h("p", { class: "muted" }, "The token opens what belongs to this number. Whoever has it can send in your name."), shown] : null,
    address ? h("div", { class: "actions" }, h("a", { class: "button", href: "app.html#number" }, "Change"), number ? h("a", { class: "button", href: "app.html#pair" }, "Scan again") : null, token ? reveal : null) : null,
  );
}

function tellingCard(settings) {
  const box = h("input", { type: "checkbox", id: "notify", checked: settings.notify !== false, onchange: async () => {
    await write("settings", { ...(await read("settings")), notify: box.checked });
  } });
  return h("section", { class: "card" }, h("h2", {}, "Notifications"), h("div", { class: "choice" }, box, h("label", { for: "notify" }, "Tell me when a campaign has finished or failed, and when I have to scan again")));
}

function leavingCard({ address }) {
  let sure = false;
  const leave = h("button", { type: "button", class: "danger", disabled: !address, onclick: () => busy(leave, async () => {
    if (!sure) {
      sure = true;
      leave.textContent = "Forget the token and the draft?";
      return;
    }
    await forgetAll();
    const kept = await chrome.permissions.remove(permissionFor(address)).then(() => "", () => " Only its address stays allowed, as whoever runs this browser has set it.");
    fillWith(told, note("green", `This browser knows nothing of the gateway any more.${kept}`));
  }) }, "Forget everything");
  return h("section", { class: "card" }, h("h2", {}, "This browser"), h("p", { class: "muted" }, "Campaigns go on in the gateway, and the phone stays linked. To unlink it, remove the device on the phone."), h("div", { class: "actions" }, leave));
}

follow("settings", draw);
draw();
