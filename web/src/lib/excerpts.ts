/**
 * Messages around one that was jumped to, while the conversation goes on at its live end: a second window, which grows in
 * both directions. Where it reaches the live one the two become one.
 */
import type { Context } from "./context.ts";
import type { Message } from "./frames.ts";
import type { Opened } from "./opened.ts";
import { lastOf, prepend } from "./timeline.ts";
import type { Excerpt } from "./types.ts";

export interface Excerpts {
  /** Resolves with whether the message with this seq, or those next to it, are shown: the last call wins. */
  openAt(room: Opened, seq: number): Promise<boolean>;
  loadOlder(room: Opened): Promise<void>;
  loadNewer(room: Opened): Promise<void>;
  /** Only the live end is shown again. */
  leave(room: Opened): void;
}

export interface ExcerptsOptions {
  /** Shows a room as it is now. */
  publish: (room: Opened) => void;
  /** Messages of a page, with the changes that came before it. */
  current: (room: Opened, messages: readonly Message[]) => readonly Message[];
}

export function createExcerpts(context: Context, { publish, current }: ExcerptsOptions): Excerpts {
  const { rest, pageSize } = context;

  function show(room: Opened, excerpt: Excerpt | null): void {
    room.excerpt = excerpt;
    publish(room);
  }

  async function grow(room: Opened, direction: "older" | "newer"): Promise<void> {
    const { excerpt } = room;
    const [first, last] = [excerpt?.messages[0]?.seq, excerpt?.messages.at(-1)?.seq];
    if (!excerpt || first === undefined || last === undefined) return;
    const isOlder = direction === "older";
    const query = isOlder ? { beforeSeq: first } : { afterSeq: last };
    const page = await rest.messages(room.id, { ...query, limit: pageSize });
    const now = room.excerpt;
    // Jumped elsewhere meanwhile, or grown already. It may have changed in itself.
    if (now?.seq !== excerpt.seq || now.messages.length !== excerpt.messages.length) return;
    const items = current(room, page.items);
    if (isOlder) show(room, { ...now, messages: [...items, ...now.messages], hasOlder: page.hasMore });
    else show(room, { ...now, messages: [...now.messages, ...items], hasNewer: page.hasMore });
  }

  return {
    async openAt(room, seq) {
      const jump = ++room.jumps;
      const first = room.timeline.messages[0]?.seq;
      if (first !== undefined && seq >= first && seq <= (lastOf(room.timeline) ?? 0)) {
        show(room, null);
        return true;
      }
      const page = await rest.around(room.id, seq, pageSize);
      if (room.jumps !== jump) return false;
      const { hasMoreBefore: hasOlder, hasMoreAfter: hasNewer } = page;
      show(room, { seq, messages: current(room, page.items), hasOlder, hasNewer });
      return true;
    },
    loadOlder: (room) => grow(room, "older"),
    loadNewer: (room) => grow(room, "newer"),
    leave(room) {
      room.jumps++;
      if (room.excerpt) show(room, null);
    },
  };
}

/** Where the excerpt reaches the live window, they are one; to be called before either is shown. */
export function joinWindows(room: Opened): void {
  const { excerpt, timeline } = room;
  if (!excerpt || timeline.base === null || (excerpt.messages.at(-1)?.seq ?? 0) < timeline.base) return;
  room.timeline = prepend(timeline, excerpt.messages, excerpt.hasOlder);
  room.excerpt = null;
}
