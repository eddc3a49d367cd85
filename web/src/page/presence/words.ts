/** How a person's presence is put into words. */
import type { PersonPresence } from "../../lib/index.ts";
import { texts } from "../texts/index.ts";
import { daysAgo, fullDateOf, timeOf } from "../time.ts";

const words = texts.presence;

export function presenceInWords({ status, lastSeenAt }: PersonPresence): string {
  return status === "offline" && lastSeenAt ? lastSeen(new Date(lastSeenAt)) : words[status];
}

function lastSeen(at: Date): string {
  const ago = daysAgo(at);
  if (ago <= 0) return words.lastSeenToday(timeOf(at));
  if (ago === 1) return words.lastSeenYesterday(timeOf(at));
  return words.lastSeenOn(fullDateOf(at));
}
