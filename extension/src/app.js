/**
 * The popup, and the same in a tab: which view is shown, and the bar above it.
 *
 * The address's `#...` names the view. Where something has to be done first (an address, a number, a scan), that comes
 * first, whatever was asked for. A view is a function `(view, context) -> leave`; `leave()` ends what it began.
 */

import { fillWith, h, icon, pill, renew } from "./dom.js";
import { follow, read } from "./store.js";
import { needsScan } from "./telling.js";
import { number, spaced } from "./words.js";
import { showAddress, showNumber } from "./views/setup.js";
import { showCampaigns } from "./views/campaigns.js";
import { showCompose } from "./views/compose.js";
import { showInbox } from "./views/inbox.js";
import { showPairing } from "./views/pairing.js";

const VIEWS = {
  address: showAddress,
  number: showNumber,
  pair: showPairing,
  home: showCampaigns,
  compose: showCompose,
  inbox: showInbox,
};
const TABS = [
  ["home", "Campaigns"],
  ["compose", "New campaign"],
  ["inbox", "Inbox"],
];

const bar = document.getElementById("bar");
const view = document.getElementById("view");
const isPopup = document.documentElement.dataset.kind === "popup";
let leave = () => {};
let shown = "";

const context = {
  isPopup,
  go,
  again,
  /** Go on in a tab, where there is room and a file can be chosen; the popup closes by itself. */
  async openTab(name) {
    await chrome.tabs.create({ url: chrome.runtime.getURL(`app.html#${name}`) });
    if (isPopup) window.close();
  },
  ask: (what) => chrome.runtime.sendMessage({ ask: what }),
};

/** Show a view, unless it is shown. */
function go(name) {
  if (location.hash === `#${name}`) return route();
  location.hash = name;
}

/** Begin the view anew. */
function again() {
  shown = "";
  return route();
}

async function route() {
  const name = await firstThingFirst(location.hash.slice(1));
  if (name === shown) return;
  const isFirst = shown === "";
  shown = name;
  leave();
  leave = () => {};
  fillWith(view);
  view.dataset.view = name;
  await drawBar();
  const end = (await VIEWS[name](view, context)) ?? (() => {});
  if (name !== shown) return end(); // somebody has gone on while it was drawn
  leave = end;
  if (!isFirst) view.focus({ preventScroll: true });
}

async function firstThingFirst(wanted) {
  const settings = await read("settings");
  if (!settings?.address || wanted === "address") return "address";
  if (!settings.number || wanted === "number") return "number";
  if (!settings.paired) return "pair";
  return wanted in VIEWS ? wanted : "home";
}

async function drawBar() {
  const [settings, live] = [await read("settings"), await read("live")];
  const ready = settings?.address && settings.number && settings.paired;
  renew(
    bar,
    h("div", { class: "brand" }, h("img", { src: "icons/icon.svg", alt: "", width: 28, height: 28 }), who(settings, live)),
    ready ? reach(live) : null,
    isPopup
      ? button("expand", "Open in a tab", () => context.openTab(shown))
      : null,
    button("gear", "Settings", () => chrome.runtime.openOptionsPage()),
    ready ? tabs(live) : null,
  );
}

function who(settings, live) {
  const name = live?.session?.name || "WAHA Gateway";
  return h("div", { class: "who" }, h("strong", {}, name), settings?.number ? h("span", {}, spaced(settings.number)) : null);
}

function reach(live) {
  if (live?.reach === "here") return needsScan(live) ? pill("scan again", "red") : pill("live", "green");
  if (live?.reach === "away") return pill("away", "amber");
  if (live?.reach === "unauthorized") return pill("locked", "red");
  return pill("connecting", "grey");
}

function button(picture, label, onclick) {
  return h("button", { type: "button", class: "round", title: label, "aria-label": label, onclick }, icon(picture));
}

function tabs(live) {
  return h(
    "nav",
    { "aria-label": "Views" },
    TABS.map(([name, label]) =>
      h(
        "a",
        { href: `#${name}`, "aria-current": name === shown ? "page" : null },
        label,
        name === "inbox" && live?.unread ? h("span", { class: "count" }, number(live.unread), h("span", { class: "unseen" }, " unread")) : null,
      ),
    ),
  );
}

window.addEventListener("hashchange", route);
follow("live", drawBar);
follow("settings", () => route().then(drawBar));
chrome.runtime.connect({ name: "page" });
route();
