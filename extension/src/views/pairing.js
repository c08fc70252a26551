/**
 * Step 3: the code that the phone scans, and the other ways to link it.
 *
 * Opening a pairing gives a token once; it is kept at once, and counts when the phone has scanned. The gateway is asked
 * again and again for the code that is shown now, for as long as somebody looks at it and ten minutes at most.
 */

import { Gateway, NoAnswer, Refused } from "../api.js";
import { busy, field, fillWith, h, icon, note } from "../dom.js";
import { read, write } from "../store.js";
import { sentence, spaced } from "../words.js";
import { steps } from "./setup.js";

const LOOK_MS = 1_500;
const LONGEST_MS = 600_000;
const TAIL_MS = 60_000;

export async function showPairing(view, { go, again: beginAnew, ask }) {
  let timer = 0, ticking = 0, ended = false, lastCode = "", warning = "";
  const began = Date.now();
  let gateway = new Gateway(await read("settings"));
  const stage = h("div", { class: "stage" });
  const says = h("p", { class: "lead", role: "status" }, "Opening a pairing…");
  const other = h("div", {});
  fillWith(view, steps(3), h("h1", {}, "Link your phone"), says, stage, other);

  function stop() {
    ended = true;
    clearTimeout(timer);
    clearInterval(ticking);
  }

  /** Do it, and say what went wrong; ask again unless that would be of no use. */
  async function attempt(work) {
    try {
      await work();
    } catch (error) {
      if (ended) return;
      if (error instanceof NoAnswer) {
        say("The gateway does not answer. This goes on by itself when it does.", "amber");
        again(LOOK_MS * 2);
      } else if (error instanceof Refused) {
        await refused(error);
      } else {
        throw error;
      }
    }
  }

  async function refused(error) {
    if (error.status === 401 || error.status === 404) return showTokenForm(error);
    say(error.message, "amber");
    if ([409, 429, 502, 503, 504].includes(error.status)) return again(LOOK_MS * 3);
    fillWith(stage, h("div", { class: "actions" }, h("a", { class: "button primary", href: "#number" }, "Another number"), h("button", { type: "button", onclick: () => beginAnew() }, "Try again")));
  }

  function again(milliseconds) {
    clearTimeout(timer);
    if (ended) return;
    if (Date.now() - began > LONGEST_MS) return showPause();
    timer = setTimeout(() => attempt(look), milliseconds);
  }

  async function look() {
    if (document.hidden) return again(LOOK_MS);
    const shown = await gateway.qr();
    if (ended) return;
    if (shown.status === "CONNECTED") return succeed();
    if (shown.qr_code) await showCode(shown);
    else if (shown.status === "SCANNED") await showPasskey();
    else say(shown.reason ? sentence(shown.reason) : "Your gateway is getting a code from WhatsApp…", shown.reason ? "amber" : "");
    again(LOOK_MS);
  }

  function say(text, kind = "") {
    if (says.textContent !== text) says.textContent = text;
    says.className = kind ? `lead note ${kind}` : "lead";
  }

  async function showCode({ qr_code, expires_at, reason }) {
    warning = reason || warning; // told for some seconds only, and whoever looks away must find it
    say(warning ? sentence(warning) : `Scan this with the phone of ${spaced(gateway.number)}`, warning ? "amber" : "");
    if (qr_code === lastCode) return;
    lastCode = qr_code;
    const picture = h("img", { class: "qr", alt: "QR code to link the phone", src: `data:image/png;base64,${qr_code}` });
    await picture.decode();
    if (ended) return;
    picture.width = picture.naturalWidth / 2; // whole pixels per module, or a camera sees uneven ones
    const left = h("div", { class: "left" }, h("div", { class: "left-bar" }));
    const seconds = h("p", { class: "muted" });
    fillWith(stage, h("div", { class: "qr-card" }, picture, left), seconds, h("ol", { class: "todo" }, [
      "Open WhatsApp on the phone",
      "Settings → Linked devices → Link a device",
      "Point the camera at this code",
    ].map((one) => h("li", {}, one))));
    if (!other.hasChildNodes()) fillWith(other, h("button", { type: "button", class: "link", onclick: (event) => busy(event.target, () => attempt(showPairingCode)) }, "Type a code instead"));
    const until = expires_at ? Date.parse(expires_at) : 0;
    const whole = Math.min(TAIL_MS, Math.max(1, until - Date.now()));
    const tick = () => {
      const rest = Math.max(0, until - Date.now());
      left.firstChild.style.width = `${Math.min(100, (rest / whole) * 100)}%`;
      seconds.textContent = rest ? `A new code in ${Math.ceil(rest / 1000)} s` : "A new code is coming…";
    };
    clearInterval(ticking);
    if (!until) return;
    tick();
    ticking = setInterval(tick, 250);
  }

  async function showPairingCode() {
    const { code } = await gateway.pairingCode();
    fillWith(other, h("div", { class: "card code-card" }, h("p", { class: "muted" }, "On the phone: Linked devices → Link a device → Link with phone number instead"), h("p", { class: "code", "aria-label": `Code ${[...code].join(" ")}` }, code)));
  }

  async function showPasskey() {
    say("The phone has scanned. Linking…");
    fillWith(stage, h("div", { class: "spinner", role: "img", "aria-label": "Linking" }));
    lastCode = "";
    let step;
    try {
      step = await gateway.passkey();
    } catch (error) {
      if (error instanceof Refused && error.status === 409) return; // nothing is asked
      throw error;
    }
    const confirm = h("button", { class: "primary", type: "button", onclick: () => busy(confirm, () => attempt(() => gateway.confirmPasskey())) }, "It is the same code");
    fillWith(stage, h("div", { class: "card code-card" }, h("p", {}, step.message), step.code ? h("p", { class: "code" }, step.code) : null, step.step === "confirmation" ? confirm : null));
  }

  async function succeed() {
    stop();
    const session = await gateway.session();
    await write("settings", { ...(await read("settings")), paired: true });
    await ask("look");
    fillWith(other);
    says.className = "lead";
    says.textContent = "";
    fillWith(
      stage,
      h("div", { class: "card success", role: "status" }, h("div", { class: "tick" }, icon("check")), h("h2", {}, "Connected"),
        h("p", {}, session.name ? `${session.name}, ` : "", h("strong", {}, spaced(session.phone_number)))),
      h("div", { class: "actions" }, h("button", { class: "primary", type: "button", onclick: () => go("compose") }, "Write a campaign"), h("button", { type: "button", onclick: () => go("home") }, "Overview")),
    );
    stage.querySelector("button").focus();
  }

  function showPause() {
    say("Nobody has scanned for ten minutes.");
    clearInterval(ticking);
    fillWith(other);
    fillWith(stage, h("button", { class: "primary", type: "button", onclick: () => beginAnew() }, "Show a new code"));
  }

  /** Somebody has linked this number before, or is doing so: then whoever has its token goes on. */
  function showTokenForm(error) {
    say("This number is linked already, or somebody is just linking it.", "amber");
    const token = field("Token of the number", h("input", { type: "password", name: "token", autocomplete: "off", placeholder: "wgs_…" }), "Shown once, to whoever has linked the number: copy it from the other browser's settings.");
    const use = h("button", { class: "primary", type: "submit" }, "Use this token");
    const form = h("form", { noValidate: true, onsubmit }, note("grey", error.message), token.element, h("div", { class: "actions" }, use, h("button", { type: "button", onclick: () => beginAnew() }, "Try again"), h("a", { class: "button", href: "#number" }, "Another number")));
    async function onsubmit(event) {
      event.preventDefault();
      if (!token.input.value.trim()) return token.complain("Paste the token first.");
      await write("settings", { ...(await read("settings")), token: token.input.value.trim() });
      await beginAnew();
    }
    fillWith(other);
    fillWith(stage, form);
  }

  await attempt(async () => {
    gateway = await navigator.locks.request("pairing", openPairing); // popup and tab may both be here
    await look();
  });
  return stop;
}

/** The session of this number with the credential that opens it: what we have, a new one, or (open mode) none. */
async function openPairing() {
  const gateway = new Gateway(await read("settings"));
  if (await isOurs(gateway)) return gateway;
  const without = new Gateway({ address: gateway.address, number: gateway.number });
  try {
    const opened = await without.openSession(gateway.number);
    const settings = { ...(await read("settings")), number: opened.phone_number, token: opened.sender_token, paired: false };
    await write("settings", settings);
    return new Gateway(settings);
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 409) throw error;
    const session = await without.session().catch((refusal) => {
      if (refusal instanceof Refused) throw new Refused(401, { detail: error.message });
      throw refusal;
    });
    const settings = { ...(await read("settings")), number: session.phone_number, token: "", paired: false };
    await write("settings", settings);
    return new Gateway(settings);
  }
}

async function isOurs(gateway) {
  if (!gateway.token) return false;
  try {
    await gateway.session();
    return true;
  } catch (error) {
    if (error instanceof Refused && [401, 404].includes(error.status)) return false;
    throw error;
  }
}
