/** The gateway's HTTP API, as one number uses it. */

const PATIENCE_MS = 15_000;
const LONG_PATIENCE_MS = 120_000;

/** The gateway answered, and said no: `status`, `code`, `detail` and `errors` are those of its one error shape. */
export class Refused extends Error {
  constructor(status, body) {
    super(body?.detail || `The gateway answered with the status ${status}.`);
    this.status = status;
    this.code = body?.error_code ?? "";
    this.errors = body?.errors ?? [];
  }
}

/** There was no answer: nobody can tell whether the request arrived. */
export class NoAnswer extends Error {
  constructor(cause) {
    super("The gateway does not answer.", { cause });
  }
}

/**
 * A gateway's address as people write it, as the beginning of its URLs.
 *
 * @throws {Error} it is none.
 */
export function readAddress(text) {
  const written = text.trim();
  if (!written) throw new Error("Write the address of your gateway.");
  const local = /^(localhost|127\.|\[::1\])/i.test(written);
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(written) ? written : `${local ? "http" : "https"}://${written}`;
  let url;
  try {
    url = new URL(full);
  } catch {
    throw new Error("This is not an address. Write it like https://gateway.example.org");
  }
  if (!["http:", "https:"].includes(url.protocol) || url.username || url.password) {
    throw new Error("The address begins with http:// or https://, and has no password in it.");
  }
  return url.origin + url.pathname.replace(/\/+$/, "");
}

/** What Chrome has to be asked for, so that we may call that address; it knows no ports there. */
export function permissionFor(address) {
  const { protocol, hostname } = new URL(address);
  return { origins: [`${protocol}//${hostname}/*`] };
}

export class Gateway {
  /** @param settings `{address, number, token}`; number and token may be missing. */
  constructor({ address, number = "", token = "" }) {
    this.address = address;
    this.number = number;
    this.token = token;
  }

  /** Where live events are told. */
  get eventsUrl() {
    return `${this.address.replace(/^http/, "ws")}/ws`;
  }

  health() {
    return this.#call("GET", "/health", { anonymous: true });
  }

  // --- the number ---------------------------------------------------------------------------------------------------

  openSession(number) {
    return this.#call("POST", "/api/sessions", { json: { phone_number: number } });
  }

  session() {
    return this.#call("GET", this.#sessionPath());
  }

  qr() {
    return this.#call("GET", this.#sessionPath("/qr"));
  }

  pairingCode() {
    return this.#call("POST", this.#sessionPath("/code"));
  }

  passkey() {
    return this.#call("GET", this.#sessionPath("/passkey"));
  }

  confirmPasskey() {
    return this.#call("POST", this.#sessionPath("/passkey/confirm"));
  }

  start() {
    return this.#call("POST", this.#sessionPath("/start"));
  }

  // --- campaigns ----------------------------------------------------------------------------------------------------

  preview(request) {
    return this.#call("POST", "/api/send/preview", { json: request, patience: LONG_PATIENCE_MS });
  }

  /** Send; `body` is the JSON text, the same for each try with the same key. */
  send(body, key) {
    return this.#call("POST", "/api/send", { body, headers: { "Idempotency-Key": key }, patience: LONG_PATIENCE_MS });
  }

  campaigns(query) {
    return this.#call("GET", "/api/campaigns", { query: { ...this.#whose(), ...query } });
  }

  campaign(id) {
    return this.#call("GET", `/api/status/${id}`, { query: this.#whose() });
  }

  /** @param verb pause, resume or cancel */
  steer(id, verb) {
    return this.#call("POST", `/api/campaigns/${id}/${verb}`, { query: this.#whose() });
  }

  // --- the inbox ----------------------------------------------------------------------------------------------------

  unread() {
    return this.#call("GET", "/api/conversations", { query: { ...this.#whose(), unread: true, limit: 20 } });
  }

  markRead(id) {
    return this.#call("POST", `/api/conversations/${id}/read`, { query: this.#whose() });
  }

  // --- inside -------------------------------------------------------------------------------------------------------

  #whose() {
    return { sender_number: this.number };
  }

  #sessionPath(rest = "") {
    return `/api/sessions/${encodeURIComponent(this.number)}${rest}`;
  }

  async #call(method, path, { query, json, body, headers = {}, patience = PATIENCE_MS, anonymous = false } = {}) {
    const url = new URL(this.address + path);
    for (const [name, value] of Object.entries(query ?? {})) {
      for (const one of [value].flat()) url.searchParams.append(name, one);
    }
    const text = json === undefined ? body : JSON.stringify(json);
    const all = { Accept: "application/json", ...headers };
    if (text !== undefined) all["Content-Type"] = "application/json";
    if (this.token && !anonymous) all["X-Sender-Token"] = this.token;
    let answer, told;
    try {
      answer = await fetch(url, {
        method,
        headers: all,
        body: text,
        credentials: "omit",
        cache: "no-store",
        redirect: "error",
        signal: AbortSignal.timeout(patience),
      });
      told = await answer.text();
    } catch (error) {
      throw new NoAnswer(error);
    }
    return read(answer, told);
  }
}

function read(answer, text) {
  let body = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    if (answer.ok) throw new Refused(answer.status, { detail: "What answers there is no gateway." });
  }
  if (!answer.ok) throw new Refused(answer.status, body);
  return body;
}
