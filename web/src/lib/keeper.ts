/** Watches the state and keeps on this device what changed: the person, conversations, newest messages, drafts. */
import { confirmed } from "./changes.ts";
import { NO_DRAFTS } from "./state.ts";
import type { Storage } from "./storage.ts";
import type { Store } from "./store.ts";
import type { ChatState } from "./types.ts";

export interface Keeper {
  /** Write what has changed, now. */
  flush(): void;
  stop(): void;
}

/** Changes come in bursts; each would be a transaction. */
const PAUSE = 250;

/** `kept`: what the storage holds already. */
export function startKeeping(
  store: Store<ChatState>,
  storage: Storage,
  keptMessages: number,
  kept: ChatState,
): Keeper {
  let timer: ReturnType<typeof setTimeout> | undefined;

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    const state = store.get();
    keepList(state);
    for (const [id, room] of Object.entries(state.rooms)) {
      const before = kept.rooms[id];
      if (room === before) continue;
      const isSame = room.messages === before?.messages && room.lastChange === before.lastChange;
      if (!isSame && !room.gone && room.messages.length > 0) {
        const messages = room.messages.slice(-keptMessages).map(confirmed);
        storage.keepMessages(id, { messages, lastChange: room.lastChange });
      }
      const { draft, draftReply, threadDrafts } = before ?? NO_DRAFTS;
      const isDrafted = room.draft !== draft || room.draftReply !== draftReply;
      if (isDrafted || room.threadDrafts !== threadDrafts) storage.keepDrafts(id, room);
    }
    kept = state;
  }

  function keepList(state: ChatState): void {
    if (state.me && state.me !== kept.me) storage.keepMe(state.me);
    const before = kept.conversations.items;
    const { items } = state.conversations;
    if (items === before) return;
    const known = new Set(before);
    const fresh = items.filter((item) => !known.has(item));
    if (fresh.length) storage.keepConversations(fresh);
    // Those that are gone are forgotten where that is noticed, with all that belongs to them.
  }

  const soon = () => {
    timer ??= setTimeout(flush, PAUSE);
  };
  const unsubscribe = store.subscribe(soon);
  soon(); // much may have come before
  return {
    flush,
    stop() {
      unsubscribe();
      clearTimeout(timer);
    },
  };
}
