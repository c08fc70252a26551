/** Notifications and the badge: what people hear while no page of ours is open. */

import { brief, counted, number, spaced, titleOf } from "./words.js";

const LOGO = chrome.runtime.getURL("icons/icon-128.png");
const GREEN = "#087f5b";
const RED = "#c92a2a";
const GREY = "#5b6675";
const SESSION = "session";

/** The badge: what is left to be sent; "!" where the phone has to scan; grey while the gateway is away. */
export async function showBadge(live) {
  const scan = needsScan(live);
  await chrome.action.setBadgeText({ text: scan ? "!" : brief(live.left) });
  await chrome.action.setBadgeBackgroundColor({ color: scan ? RED : live.reach === "here" ? GREEN : GREY });
  await chrome.action.setBadgeTextColor({ color: "#ffffff" });
  await chrome.action.setTitle({ title: titleFor(live, scan) });
}

/** Whether nothing can be sent before the phone has scanned again. */
export function needsScan(live) {
  const session = live?.session;
  return Boolean(session) && (session.status === "NOT_FOUND" || session.status === "EXPIRED" || session.requires_auth === true);
}

function titleFor(live, scan) {
  if (live.reach === "unset") return "WAHA Gateway: not set up yet";
  if (live.reach === "away") return "WAHA Gateway: the gateway does not answer";
  if (scan) return "WAHA Gateway: scan again";
  const unread = live.unread ? `, ${number(live.unread)} unread` : "";
  return `WAHA Gateway: ${counted(live.left, "message")} left${unread}`;
}

/** Tell a person of one event, if it is one of those that they want to hear of. */
export async function tell(event, campaignOf) {
  const { data } = event;
  if (event.event === "message.completed") await tellOfEnd(data, await campaignOf(data.schedule_id));
  else if (event.event === "session.expiring") await tellOfSession(data, "Your number is about to be logged out");
  else if (event.event === "session.expired") await tellOfSession(data, "Your number has to be linked again");
  else if (event.event === "session.connected") await chrome.notifications.clear(SESSION);
}

async function tellOfEnd({ schedule_id, stats }, campaign) {
  if (stats.state === "cancelled") return; // whoever cancelled it knows
  const trouble = [
    stats.failed && `${number(stats.failed)} failed`,
    stats.unconfirmed && `${number(stats.unconfirmed)} unconfirmed`,
    stats.skipped && `${number(stats.skipped)} skipped`,
  ].filter(Boolean);
  const sent = `${number(stats.sent)} of ${counted(stats.total, "message")} sent`;
  await notify(`campaign:${schedule_id}`, {
    title: stats.state === "failed" ? "A campaign has failed" : "A campaign has finished",
    message: [campaign ? titleOf(campaign) : "", [sent, ...trouble].join(", ")].filter(Boolean).join("\n"),
  });
}

async function tellOfSession(data, title) {
  await notify(SESSION, {
    title,
    message: `${spaced(data.sender_number)}: scan again to go on sending.`,
    buttons: [{ title: "Scan again" }],
    requireInteraction: true,
  });
}

async function notify(id, options) {
  await chrome.notifications.create(id, { type: "basic", iconUrl: LOGO, priority: 1, ...options });
}

/** Where a click on a notification leads. */
export function pageFor(notificationId) {
  return notificationId === SESSION ? "app.html#pair" : "app.html#home";
}
