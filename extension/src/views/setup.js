/** The first two steps: where the gateway is, and which number sends. */

import { Gateway, NoAnswer, Refused, permissionFor, readAddress } from "../api.js";
import { busy, field, fillWith, h, note } from "../dom.js";
import { read, write } from "../store.js";

/** Step 1. The address is kept before Chrome asks: its question may close the popup, and then this goes on from there. */
export async function showAddress(view, { go }) {
  const settings = (await read("settings")) ?? {};
  const address = field(
    "Gateway address",
    h("input", { type: "url", name: "address", value: settings.address ?? settings.typed ?? "", placeholder: "http://localhost:8000", autocomplete: "url", spellcheck: false }),
    "Whoever runs your gateway knows it. On this computer it is http://localhost:8000",
  );
  const result = h("div", {});
  const next = h("button", { class: "primary", type: "submit" }, "Connect");
  const form = h("form", { noValidate: true, onsubmit }, address.element, result, h("div", { class: "actions" }, next));

  async function onsubmit(event) {
    event.preventDefault();
    address.complain("");
    let written;
    try {
      written = readAddress(address.input.value);
    } catch (error) {
      return address.complain(error.message);
    }
    write("settings", { ...settings, address: undefined, typed: written });
    const allowed = chrome.permissions.request(permissionFor(written)); // at once: only a click may ask
    await busy(next, () => connect(written, allowed));
  }

  async function connect(written, allowed) {
    fillWith(result);
    if (!(await allowed)) {
      return fillWith(result, note("amber", "Chrome was not allowed to speak to this address. Without that nothing can be sent."));
    }
    try {
      const health = await new Gateway({ address: written }).health();
      if (!health?.version) throw new Refused(0, { detail: "What answers there is no gateway." });
    } catch (error) {
      if (!(error instanceof NoAnswer || error instanceof Refused)) throw error;
      return address.complain(`${error.message} Is the address right, and does the gateway run?`);
    }
    const same = settings.address === written || settings.typed === written;
    await write("settings", { ...(same ? settings : { notify: settings.notify }), address: written, typed: undefined });
    await go(same && settings.number ? "home" : "number");
  }

  fillWith(view, steps(1), h("h1", {}, "Where is your gateway?"), h("p", { class: "lead" }, "It sends for you, also while this browser is closed."), form);
  address.input.focus();
}

/** Step 2. */
export async function showNumber(view, { go }) {
  const settings = await read("settings");
  const phone = field(
    "Your WhatsApp number",
    h("input", { type: "tel", name: "number", value: settings.number ?? "", placeholder: "+44 7700 900001", autocomplete: "tel" }),
    "With country code. The phone with this number scans a code in the next step.",
  );
  const next = h("button", { class: "primary", type: "submit" }, "Show the QR code");
  const form = h(
    "form",
    { noValidate: true, onsubmit },
    phone.element,
    h("div", { class: "actions" }, next, h("a", { class: "button", href: "#address" }, "Back")),
  );

  async function onsubmit(event) {
    event.preventDefault();
    phone.complain("");
    const written = phone.input.value.trim();
    if (!/\d{5}/.test(written.replace(/\D/g, ""))) return phone.complain("Write your whole number, with country code.");
    await busy(next, async () => {
      const same = settings.number === written;
      await write("settings", { ...settings, number: written, token: same ? settings.token : "", paired: false });
      await go("pair");
    });
  }

  fillWith(view, steps(2), h("h1", {}, "Which number sends?"), h("p", { class: "lead" }, "Campaigns go out from your own number, at the pace the gateway is set to."), form);
  phone.input.focus();
}

/** Where in the three steps one is. */
export function steps(now) {
  const names = ["Gateway", "Number", "Scan"];
  return h(
    "ol",
    { class: "steps", "aria-label": `Step ${now} of ${names.length}` },
    names.map((name, index) => h("li", { "aria-current": index + 1 === now ? "step" : null, class: index + 1 < now ? "done" : "" }, name)),
  );
}
