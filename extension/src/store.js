/**
 * What the extension remembers.
 *
 * `chrome.storage.local` holds what must outlive the browser: who we are (`settings`), what is being written (`draft`,
 * `file`), what was given to the gateway and not answered clearly (`outbox`), and where we are in its events (`place`).
 * `chrome.storage.session` holds what was seen last (`live`), for whoever opens a page next.
 */

const AREAS = { settings: "local", draft: "local", file: "local", outbox: "local", place: "local", live: "session" };

/** @returns {Promise<any>} the value, or null where there is none. */
export async function read(name) {
  const found = await chrome.storage[AREAS[name]].get(name);
  return found[name] ?? null;
}

/** Keep a value; null forgets it. */
export async function write(name, value) {
  const area = chrome.storage[AREAS[name]];
  await (value === null ? area.remove(name) : area.set({ [name]: value }));
}

/**
 * Call `tell(value, before)` whenever one of ours changes, from whichever page.
 *
 * @returns a function that ends it.
 */
export function follow(name, tell) {
  const listener = (changes, area) => {
    if (area === AREAS[name] && name in changes) tell(changes[name].newValue ?? null, changes[name].oldValue ?? null);
  };
  chrome.storage.onChanged.addListener(listener);
  return () => chrome.storage.onChanged.removeListener(listener);
}

/** Forget everything, as after a fresh install. */
export async function forgetAll() {
  await chrome.storage.local.clear();
  await chrome.storage.session.clear();
}
