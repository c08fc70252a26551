/** Numbers, times and states in words, for a person. Pure but for the clock. */

const NUMBERS = new Intl.NumberFormat();
const DAY_AND_TIME = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

export const OPEN_STATES = ["scheduled", "queued", "running", "paused"];

/** state: [what it is called, the colour of its pill] */
const CAMPAIGN_STATES = {
  scheduled: ["Scheduled", "blue"],
  queued: ["Queued", "blue"],
  running: ["Running", "green"],
  paused: ["Paused", "amber"],
  completed: ["Finished", "green"],
  completed_with_errors: ["Finished with errors", "amber"],
  failed: ["Failed", "red"],
  cancelled: ["Cancelled", "grey"],
};

const SESSION_STATES = {
  CONNECTED: ["Connected", "green"],
  SCANNED: ["Linking", "blue"],
  WAITING_FOR_SCAN: ["Waiting for a scan", "amber"],
  STARTING: ["Starting", "blue"],
  STOPPED: ["Stopped", "grey"],
  EXPIRED: ["Expired", "red"],
  FAILED: ["Failed", "red"],
  NOT_FOUND: ["Not linked", "grey"],
};

export const campaignState = (status) => CAMPAIGN_STATES[status] ?? [status, "grey"];
export const sessionState = (status) => SESSION_STATES[status] ?? [status, "grey"];

export const number = (count) => NUMBERS.format(count);

/** "1 message", "2 messages" */
export const counted = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

/** What the gateway says in passing, as a sentence of its own. */
export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** A count in at most four characters, for the badge; nothing for zero. */
export function brief(count) {
  if (count <= 0) return "";
  if (count < 1_000) return String(count);
  if (count < 10_000) return `${Math.floor(count / 100) / 10}k`;
  if (count < 1_000_000) return `${Math.floor(count / 1_000)}k`;
  return `${Math.floor(count / 1_000_000)}M`;
}

/** Seconds as "45 s", "12 min", "2 h 10 min", "3 d 4 h" */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  const days = Math.floor(hours / 24);
  return hours % 24 ? `${days} d ${hours % 24} h` : `${days} d`;
}

/** A time of the API in this zone: "19:40", or with its day where that is not today. */
export function when(time, now = new Date()) {
  const date = new Date(time);
  return date.toDateString() === now.toDateString() ? TIME.format(date) : DAY_AND_TIME.format(date);
}

/** Calling codes of one and two digits; all others have three. */
const SHORT_CODES = /^(?:[17]|20|27|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58])/;

/** +447700900001 as +44 7700 900 001: the country's code, and the rest in groups that can be read aloud. */
export function spaced(phone) {
  const digits = phone.replace(/\D/g, "");
  if (digits.length < 8) return phone;
  const code = digits.match(SHORT_CODES)?.[0] ?? digits.slice(0, 3);
  const rest = digits.slice(code.length);
  if (code === "1" && rest.length === 10) return `+1 ${rest.slice(0, 3)} ${rest.slice(3, 6)} ${rest.slice(6)}`;
  const head = rest.length % 3 === 1 ? 4 : rest.length % 3 || 3;
  return ["+" + code, rest.slice(0, head), ...(rest.slice(head).match(/.{3}/g) ?? [])].join(" ");
}

/** What a campaign is called: its name, or how its text begins. */
export function titleOf(campaign) {
  if (campaign.name) return campaign.name;
  const text = campaign.template.trim().replace(/\s+/g, " ");
  if (!text) return "A file";
  return text.length > 48 ? `${text.slice(0, 47)}…` : text;
}
