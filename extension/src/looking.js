/** One look at the gateway: how our number is, what runs, what is unread. The result is what pages and badge show. */

import { Gateway, NoAnswer, Refused } from "./api.js";
import { OPEN_STATES } from "./words.js";

const CLOSELY = 5;
const LISTED = 20;

/**
 * @param settings the stored settings
 * @returns what `live` holds: `{reach, session, open, recent, unread, left, seenAt}`. `reach` is `unset`, `here`,
 *   `away` (no answer), `unauthorized` or `broken` (with the `problem`). What could not be seen keeps its last value.
 */
export async function look(settings, last) {
  if (!settings?.address || !settings.paired) return { ...nothing(), reach: "unset" };
  const gateway = new Gateway(settings);
  try {
    const session = await sessionOf(gateway);
    const [open, recent, unread] = await Promise.all([
      gateway.campaigns({ status: OPEN_STATES, limit: 50 }),
      gateway.campaigns({ limit: LISTED }),
      gateway.unread(),
    ]);
    const close = await Promise.all(open.items.slice(0, CLOSELY).map((one) => gateway.campaign(one.campaign_id)));
    const shown = [...close, ...open.items.slice(CLOSELY)].filter((one) => OPEN_STATES.includes(one.status)).map(brief);
    return {
      reach: "here",
      problem: "",
      session,
      open: shown,
      recent: recent.items.filter((one) => !OPEN_STATES.includes(one.status)).map(brief),
      unread: unread.items.reduce((sum, one) => sum + one.unread, 0),
      threads: unread.total,
      left: shown.reduce((sum, one) => sum + one.pending, 0),
      seenAt: Date.now(),
    };
  } catch (error) {
    return { ...(last ?? nothing()), ...trouble(error) };
  }
}

const nothing = () => ({ problem: "", session: null, open: [], recent: [], unread: 0, threads: 0, left: 0, seenAt: 0 });

function trouble(error) {
  if (error instanceof NoAnswer) return { reach: "away", problem: error.message };
  if (!(error instanceof Refused)) throw error;
  if ([401, 403].includes(error.status)) return { reach: "unauthorized", problem: error.message };
  if ([502, 503, 504].includes(error.status)) return { reach: "away", problem: error.message };
  return { reach: "broken", problem: error.message };
}

async function sessionOf(gateway) {
  try {
    return await gateway.session();
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return { status: "NOT_FOUND", message: error.message, name: "" };
    throw error;
  }
}

/** What of a campaign is shown: texts may be long, and all of this is written down at each look. */
function brief(one) {
  const { campaign_id, name, status, total, pending, sent, delivered, read, failed, unconfirmed, skipped } = one;
  const { cancelled, progress, created_at, end_time, reason, waiting = [], estimated_finish = null } = one;
  return {
    ...{ campaign_id, name, status, total, pending, sent, delivered, read, failed, unconfirmed, skipped, cancelled },
    ...{ progress, created_at, end_time, reason, estimated_finish, template: one.template.slice(0, 200) },
    waiting: waiting.slice(0, 1),
  };
}
