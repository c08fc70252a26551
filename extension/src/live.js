/**
 * The gateway's live events over one WebSocket, opened again whenever it is lost (docs/live-events.md).
 *
 * It says who we are, and from which event on we want to hear: nothing comes twice, and nothing of the last hour is
 * missed. What it sends every 20 seconds keeps Chrome from ending the worker that holds the socket.
 */

const STILL_THERE_MS = 20_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
const WRONG_CREDENTIAL = 4401;

export class Live {
  #socket = null;
  #pause = FIRST_PAUSE_MS;
  #again = 0;
  #ticking = 0;
  #since = null;

  /**
   * @param {{onEvent: Function, onReady: Function, onLost: Function}} listener `onEvent(event)` in their order,
   *   `onReady(sequence)` once we hear, `onLost(wrongCredential)` when we do not any more.
   */
  constructor(listener) {
    this.listener = listener;
  }

  /** Whether a socket is open or being opened, or will be soon. */
  get isAlive() {
    return this.#socket !== null || this.#again !== 0;
  }

  /** Listen to this gateway, from the event after `since` on; what was open before is closed. */
  open(gateway, since) {
    this.close();
    this.#since = since;
    this.#connect(gateway);
  }

  close() {
    clearTimeout(this.#again);
    clearInterval(this.#ticking);
    this.#again = 0;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #connect(gateway) {
    this.#again = 0;
    const socket = new WebSocket(gateway.eventsUrl);
    this.#socket = socket;
    socket.onopen = () => {
      const first = { type: "auth", sender_number: gateway.number };
      if (gateway.token) first.token = gateway.token;
      if (this.#since !== null) first.since = this.#since;
      socket.send(JSON.stringify(first));
      this.#ticking = setInterval(() => socket.send('{"type":"here"}'), STILL_THERE_MS);
    };
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#hear(JSON.parse(data));
    };
    socket.onclose = ({ code }) => {
      if (socket === this.#socket) this.#lose(gateway, code);
    };
  }

  #hear(message) {
    if (message.type === "ready") {
      this.#pause = FIRST_PAUSE_MS;
      this.#since ??= message.sequence;
      this.listener.onReady(this.#since);
    } else if (message.type === "event") {
      this.#since = message.sequence;
      this.listener.onEvent(message);
    }
  }

  #lose(gateway, code) {
    clearInterval(this.#ticking);
    this.#socket = null;
    this.listener.onLost(code === WRONG_CREDENTIAL);
    const pause = this.#pause * (0.75 + Math.random() / 2);
    this.#pause = code === WRONG_CREDENTIAL ? LONGEST_PAUSE_MS : Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
    this.#again = setTimeout(() => this.#connect(gateway), pause);
  }
}
