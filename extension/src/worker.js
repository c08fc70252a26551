/**
 * The service worker: hears the gateway's events, looks after each, and shows what is left to be done.
 *
 * Chrome ends it when nothing happens for half a minute, and starts it again for an event or for the alarm; so it keeps
 * nothing but the socket and what it is just doing, and begins each time from what is stored. Sending happens in the
 * gateway: nothing depends on this worker but what people hear of it.
 */

import { Gateway, NoAnswer, Refused } from "./api.js";
import { Live } from "./live.js";
import { look } from "./looking.js";
import { deliver, recover } from "./outbox.js";
import { follow, read, write } from "./store.js";
import { pageFor, showBadge, tell } from "./telling.js";

const WHO = ["address", "number", "token", "paired"];
const ALARM = "look";
const MINUTES = 1;
const WATCHED_MS = 1_000;
const UNWATCHED_MS = 5_000;
const WATCHED_TICK_MS = 3_000;

/** Pages of ours that are open: with one, looks are closer together. */
const watchers = new Set();
let lookedAt = 0;
let timer = 0;
let due = Infinity;
let looking = null;
let telling = Promise.resolve();

const live = new Live({
  onReady(sequence) {
    keepPlace(sequence);
    lookSoon();
  },
  onEvent(event) {
    telling = telling.then(() => hear(event)).catch(report);
  },
  onLost() {
    lookSoon();
  },
});

// --- what starts the worker, all of it known from the first moment on ---------------------------------------------------

chrome.runtime.onInstalled.addListener(({ reason }) => {
  if (reason === "install") chrome.tabs.create({ url: chrome.runtime.getURL("app.html") });
});
chrome.runtime.onStartup.addListener(() => {}); // with the browser: what is needed happens in `begin`
chrome.alarms.onAlarm.addListener(() => {
  if (!live.isAlive) listen();
  lookSoon();
});
chrome.runtime.onConnect.addListener((port) => {
  watchers.add(port);
  port.onDisconnect.addListener(() => watchers.delete(port));
  lookSoon();
});
chrome.runtime.onMessage.addListener((message, sender, answer) => {
  if (sender.id !== chrome.runtime.id || !(message?.ask in ASKED)) return false;
  ASKED[message.ask]().then(() => answer({ done: true }), (error) => answer({ done: false, problem: String(error) }));
  return true;
});
chrome.notifications.onClicked.addListener(openPage);
chrome.notifications.onButtonClicked.addListener(openPage);
follow("settings", (now, before) => {
  if (WHO.some((name) => now?.[name] !== before?.[name])) listen().catch(report);
});

const ASKED = {
  async send() {
    await deliver();
    lookSoon();
  },
  async look() {
    await lookNow();
  },
};

// --- hearing ------------------------------------------------------------------------------------------------------------

async function listen() {
  const settings = await read("settings");
  lookedAt = 0;
  if (!settings?.address || !settings.paired) {
    live.close();
  } else {
    const place = await read("place");
    const since = place?.number === settings.number && place.address === settings.address ? place.sequence : null;
    live.open(new Gateway(settings), since);
  }
  lookSoon();
}

/** One event: told once, for its place is kept before anybody hears of it. */
async function hear(event) {
  await keepPlace(event.sequence);
  lookSoon();
  if ((await read("settings"))?.notify !== false) await tell(event, campaignOf);
}

async function keepPlace(sequence) {
  const { address, number } = (await read("settings")) ?? {};
  if (address) await write("place", { address, number, sequence });
}

async function campaignOf(id) {
  try {
    return await new Gateway(await read("settings")).campaign(id);
  } catch (error) {
    if (error instanceof NoAnswer || error instanceof Refused) return null; // then it is told without its name
    throw error;
  }
}

// --- looking ------------------------------------------------------------------------------------------------------------

/** Look after a moment: however many events come, looks keep their distance. */
function lookSoon() {
  const distance = watchers.size ? WATCHED_MS : UNWATCHED_MS;
  lookIn(Math.max(0, lookedAt + distance - Date.now()));
}

function lookIn(milliseconds) {
  const at = Date.now() + milliseconds;
  if (at >= due) return;
  clearTimeout(timer);
  due = at;
  timer = setTimeout(() => {
    due = Infinity;
    lookNow().catch(report);
  }, milliseconds);
}

function lookNow() {
  looking ??= lookOnce().finally(() => {
    looking = null;
    if (watchers.size) lookIn(WATCHED_TICK_MS); // receipts are no events
  });
  return looking;
}

async function lookOnce() {
  lookedAt = Date.now();
  const settings = await read("settings");
  const seen = await look(settings, await read("live"));
  const now = await read("settings");
  if (now?.address !== settings?.address || now?.number !== settings?.number) return; // changed meanwhile: not ours
  await write("live", seen);
  await showBadge(seen);
}

// --- the rest -----------------------------------------------------------------------------------------------------------

async function openPage(notificationId) {
  await chrome.notifications.clear(notificationId);
  await chrome.tabs.create({ url: chrome.runtime.getURL(pageFor(notificationId)) });
}

function report(error) {
  console.error(error); // chrome://extensions shows it
}

async function begin() {
  await chrome.alarms.create(ALARM, { periodInMinutes: MINUTES });
  await recover();
  await listen();
}

begin().catch(report);
