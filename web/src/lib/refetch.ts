/**
 * Up to which change the messages of a room are known to be as the gateway has them, and what is done when some
 * changes were not given.
 */
import { type Backoff, delayOf } from "./backoff.ts";
import type { Context } from "./context.ts";
import { failureOf } from "./errors.ts";
import type { Message } from "./frames.ts";
import type { Opened } from "./opened.ts";
import { lastOf } from "./timeline.ts";

/** The most that one call gives. */
const PAGE = 200;
const RETRY: Backoff = { base: 1000, cap: 30_000 };

/** Changes up to this one were told, or are contained in what came. It counts once nothing before it is missing. */
export function toldOf(room: Opened, change: number): void {
  room.toldChange = Math.max(room.toldChange, change);
  if (room.settling === null && room.stale === null)
    room.knownChange = Math.max(room.knownChange, room.toldChange);
}

/** What was told on a connection that has ended counts only as far as it was complete. */
export function endOf(room: Opened): void {
  room.settling = null;
  room.stale = null;
  room.toldChange = room.knownChange;
  clearTimeout(room.refetch);
  room.refetch = undefined;
}

export interface Refetch {
  /** Changes up to this one were not given. */
  lost(room: Opened, change: number): void;
  /** Perhaps so: look in a while whether they have come. */
  doubt(room: Opened, change: number, delay: number): void;
}

/** `refresh`: these are messages as they are now. */
export function createRefetch(
  context: Context,
  refresh: (room: Opened, messages: readonly Message[]) => void,
): Refetch {
  function lost(room: Opened, change: number): void {
    room.stale = Math.max(room.stale ?? 0, change);
    void run(room);
  }

  function doubt(room: Opened, change: number, delay: number): void {
    // A look that is due already is not put off by the next doubt.
    room.refetch ??= setTimeout(() => {
      room.refetch = undefined;
      if (room.isLive && room.knownChange < change) lost(room, change);
    }, delay);
  }

  async function run(room: Opened): Promise<void> {
    if (room.isRefetching) return;
    room.isRefetching = true;
    try {
      while (room.stale !== null) {
        const goal = room.stale;
        await fetchHeld(room);
        // Null: the connection has ended, and the next join asks anew.
        if (room.stale !== goal) continue;
        room.stale = null;
        room.failures = 0;
        toldOf(room, goal);
        refresh(room, []);
      }
    } catch (error) {
      const failure = failureOf(error);
      const delay = failure.retryAfterMs ?? delayOf(room.failures++, RETRY);
      if (room.stale !== null && failure.retryable) doubt(room, room.stale, delay);
    } finally {
      room.isRefetching = false;
    }
  }

  async function fetchHeld(room: Opened): Promise<void> {
    for (const [after, last] of windowsOf(room)) await fetchWindow(room, after, last);
  }

  async function fetchWindow(room: Opened, after: number, last: number): Promise<void> {
    while (room.stale !== null && after < last) {
      const page = await context.rest.messages(room.id, { afterSeq: after, limit: PAGE });
      if (room.stale === null) return;
      refresh(room, page.items);
      const next = page.items.at(-1);
      if (!next) return;
      after = next.seq;
    }
  }

  return { lost, doubt };
}

/** The seq before and the last one of each window that is held. */
function windowsOf({ timeline, excerpt }: Opened): [number, number][] {
  const first = excerpt?.messages[0];
  return [
    [timeline.base ?? 0, lastOf(timeline) ?? 0],
    ...(excerpt && first ? [[first.seq - 1, excerpt.messages.at(-1)?.seq ?? 0] as [number, number]] : []),
  ];
}
