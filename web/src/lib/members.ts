/** The people in a conversation: loaded page by page, and kept up to date as they come and go. */
import { createAgain } from "./again.ts";
import { delayOf } from "./backoff.ts";
import type { Context } from "./context.ts";
import type { Member } from "./frames.ts";
import {
  conversationOf,
  roomOf,
  withConversation,
  withMembers,
  withoutMembers,
  withoutReaders,
  withRoom,
} from "./state.ts";

const PAGE = 100;
/** Changes of members come in bursts, and to many clients at once. */
const RELOAD_WITHIN = 2000;

export interface Members {
  /** `members` are those of `userIds` that were told of. */
  came(id: string, userIds: readonly string[], members: readonly Member[]): void;
  /** `promoted`: the last admin left, and handed the role on. */
  went(id: string, userIds: readonly string[], promoted: readonly Member[]): void;
  /** They are in it with other roles. */
  changed(id: string, members: readonly Member[]): void;
  /** The first page, or the next. */
  load(id: string): Promise<void>;
  /** Fetch the conversation again, soon, and once for many reasons. */
  reloadSoon(id: string): void;
  connected(): void;
  dispose(): void;
}

/** `reload` fetches a conversation, with its true number of members. */
export function createMembers(context: Context, reload: (id: string) => void): Members {
  const { store, rest } = context;
  const reloads = new Map<string, ReturnType<typeof setTimeout>>();
  const cursors = new Map<string, string | null>();
  // The first page, without which only some have names; further ones are asked for by whoever looks.
  const again = createAgain(context, async (id) => {
    if (!roomOf(store.get(), id).members.isLoaded) await load(id);
  });

  /** All that are known, from the list and from what was loaded. */
  function known(id: string): readonly Member[] {
    const { members } = roomOf(store.get(), id);
    const shown = conversationOf(store.get(), id)?.members ?? [];
    return members.isLoaded ? withMembers(shown, members.items) : shown;
  }

  /** `isComplete`: `held` are all members, not the first of them. */
  function change(
    id: string,
    difference: number,
    changeOf: (held: readonly Member[], isComplete: boolean) => readonly Member[],
  ): void {
    const conversation = conversationOf(store.get(), id);
    if (!conversation) return;
    const isComplete = conversation.members.length === conversation.memberCount;
    store.batch(() => {
      const memberCount = conversation.memberCount + difference;
      const shown = changeOf(conversation.members, isComplete);
      store.set(withConversation(store.get(), id, { members: shown, memberCount }));
      const { members } = roomOf(store.get(), id);
      if (!members.isLoaded) return;
      const items = changeOf(members.items, !members.hasMore);
      store.set(withRoom(store.get(), id, { members: { ...members, items } }));
    });
  }

  /** Who is not among the known members may have been counted already, or not: ask. */
  function recount(id: string): void {
    const conversation = conversationOf(store.get(), id);
    if (conversation && conversation.members.length !== conversation.memberCount) reloadSoon(id);
  }

  function reloadSoon(id: string): void {
    if (reloads.has(id)) return;
    const look = () => {
      reloads.delete(id);
      if (conversationOf(store.get(), id)) reload(id); // it may have been left meanwhile
    };
    reloads.set(id, setTimeout(look, delayOf(0, { base: RELOAD_WITHIN, cap: RELOAD_WITHIN })));
  }

  async function load(id: string): Promise<void> {
    const { members } = roomOf(store.get(), id);
    if (members.isLoading || (members.isLoaded && !members.hasMore)) return;
    const show = (changes: Partial<typeof members>) => {
      const current = roomOf(store.get(), id).members;
      store.set(withRoom(store.get(), id, { members: { ...current, ...changes } }));
    };
    show({ isLoading: true });
    try {
      const cursor = members.isLoaded ? (cursors.get(id) ?? null) : null;
      const page = await rest.members(id, { cursor, limit: PAGE });
      cursors.set(id, page.nextCursor);
      const items = withMembers(members.isLoaded ? roomOf(store.get(), id).members.items : [], page.items);
      show({ items, isLoaded: true, isLoading: false, hasMore: page.nextCursor !== null });
      again.came(id);
    } catch (error) {
      show({ isLoading: false });
      if (!members.isLoaded) again.failed(id, error);
      throw error;
    }
  }

  return {
    came(id, userIds, members) {
      const before = new Set(known(id).map(({ userId }) => userId));
      const count = userIds.filter((userId) => !before.has(userId)).length;
      change(id, count, (held, isComplete) => {
        const heldIds = new Set(held.map(({ userId }) => userId));
        // Of a part of the members, only those that it has already: the others have their place in a later page.
        return withMembers(held, isComplete ? members : members.filter(({ userId }) => heldIds.has(userId)));
      });
      recount(id);
    },
    went(id, userIds, promoted) {
      const count = known(id).filter(({ userId }) => userIds.includes(userId)).length;
      const roles = new Map(promoted.map((member) => [member.userId, member]));
      change(id, -count, (held) =>
        withoutMembers(held, userIds).map((member) => roles.get(member.userId) ?? member),
      );
      const readers = conversationOf(store.get(), id)?.readers;
      if (readers)
        store.set(withConversation(store.get(), id, { readers: withoutReaders(readers, userIds) }));
      recount(id);
    },
    changed(id, members) {
      const byId = new Map(members.map((member) => [member.userId, member]));
      change(id, 0, (held) => held.map((member) => byId.get(member.userId) ?? member));
    },
    load,
    reloadSoon,
    connected: again.connected,
    dispose() {
      again.dispose();
      for (const timer of reloads.values()) clearTimeout(timer);
    },
  };
}
