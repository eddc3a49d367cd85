/** Fetches what is missing right above a window, page after page. */
import { type Backoff, delayOf } from "./backoff.ts";
import type { Context } from "./context.ts";
import { failureOf } from "./errors.ts";
import type { Message } from "./frames.ts";
import type { Opened } from "./opened.ts";
import { holeIn, knowHead, lastOf, startAfter, type Timeline } from "./timeline.ts";
import type { GoneReason } from "./types.ts";

/** A larger hole is left to be scrolled through: the window starts anew at the newest messages. */
export const LARGEST_HOLE = 2000;
/** The most that one call gives. */
const PAGE = 200;
const RETRY: Backoff = { base: 1000, cap: 30_000 };

export interface HolesOptions {
  /** Messages have come for a window. */
  accept: (room: Opened, messages: readonly Message[], isReplay: boolean) => void;
  /** There is to be another window. */
  startOver: (room: Opened, timeline: Timeline) => void;
  onGone: (conversationId: string, reason: GoneReason) => void;
}

export interface Holes {
  /** Look after `delay`; a look that is due already is not put off by what comes meanwhile. */
  look(room: Opened, delay: number): void;
  stop(room: Opened): void;
}

export function createHoles(context: Context, { accept, startOver, onGone }: HolesOptions): Holes {
  function look(room: Opened, delay: number): void {
    if (room.isFilling || (room.look !== undefined && delay > 0)) return;
    clearTimeout(room.look);
    room.look = setTimeout(() => {
      room.look = undefined;
      void fill(room);
    }, delay);
  }

  async function fill(room: Opened): Promise<void> {
    if (room.isFilling) return;
    room.isFilling = true;
    const from = lastOf(room.timeline) ?? 0;
    let again: number | null = null;
    try {
      while (room.isLive && holeIn(room.timeline)) await fetchAfter(room, from);
      room.failures = 0;
    } catch (error) {
      const failure = failureOf(error);
      if (failure.code === "NOT_A_MEMBER") onGone(room.id, "not_found");
      else if (failure.retryable) again = failure.retryAfterMs ?? delayOf(room.failures++, RETRY);
    } finally {
      room.isFilling = false;
    }
    if (again !== null && room.isLive) look(room, again);
  }

  /** `from`: where the window ended when this began. */
  async function fetchAfter(room: Opened, from: number): Promise<void> {
    const last = lastOf(room.timeline) ?? 0;
    const isTooLarge = Math.max(last, holeIn(room.timeline)?.to ?? 0) - from > LARGEST_HOLE;
    const query = isTooLarge ? { limit: context.pageSize } : { afterSeq: last, limit: PAGE };
    const page = await context.rest.messages(room.id, query);
    if (!room.isLive) return;
    const [first, newest] = [page.items[0], page.items.at(-1)];
    if (isTooLarge && first) startOver(room, startAfter(first.seq - 1, room.timeline));
    else if (page.hasMore && newest) room.timeline = knowHead(room.timeline, newest.seq + 1);
    accept(room, page.items, true);
    if (lastOf(room.timeline) !== last) return;
    // The gateway does not have it, and never will: go on with what there is above.
    startOver(room, withoutHole(room.timeline));
    accept(room, [], true);
  }

  return {
    look,
    stop(room) {
      clearTimeout(room.look);
      room.look = undefined;
    },
  };
}

function withoutHole(timeline: Timeline): Timeline {
  const next = timeline.ahead[0];
  return next ? startAfter(next.seq - 1, timeline) : { ...timeline, head: lastOf(timeline) ?? 0 };
}
