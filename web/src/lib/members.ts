/** The people in a conversation: loaded page by page, and kept up to date as they come and go. */
import { createAgain } from "./again.ts";
import { delayOf } from "./backoff.ts";
import type { Context } from "./context.ts";
import type { Member } from "./frames.ts";
import {
  conversationOf,
  risen,
  roomOf,
  withConversation,
  withMembers,
  withoutMembers,
  withoutReaders,
  withRoom,
} from "./state.ts";
import type { Conversation, Room } from "./types.ts";

const PAGE = 100;
/** Changes of members come in bursts, and to many clients at once. */
const RELOAD_WITHIN = 2000;

/** `isComplete`: `held` are all members, not the first of them. */
type Change = (held: readonly Member[], isComplete: boolean) => readonly Member[];

type Readers = Conversation["readers"];

export interface Members {
  /** `members` are those of `userIds` that were told of. */
  came(id: string, userIds: readonly string[], members: readonly Member[]): void;
  /** `promoted`: the last admin left, and handed the role on. */
  went(id: string, userIds: readonly string[], promoted: readonly Member[]): void;
  /** They are in it with other roles. */
  changed(id: string, members: readonly Member[]): void;
  /** The first page, or the next. */
  load(id: string): Promise<void>;
  /** This person is in it no more: what is on its way says nothing. */
  gone(id: string): void;
  /** Fetch the conversation again, soon, and once for many reasons. */
  reloadSoon(id: string): void;
  /** Who came and went while there was no connection is asked for. */
  connected(): void;
  dispose(): void;
}

/** `reload` fetches a conversation, with its true number of members. */
export function createMembers(context: Context, reload: (id: string) => void): Members {
  const { store, rest } = context;
  const reloads = new Map<string, ReturnType<typeof setTimeout>>();
  const cursors = new Map<string, string | null>();
  const told = new Map<string, Change[]>(); // while pages are on their way, which may be older
  const stale = new Set<string>(); // loaded on a connection that has ended
  // The first page, without which only some have names; further ones are asked for by whoever looks.
  const again = createAgain(context, async (id) => {
    if (stale.has(id)) await refresh(id);
    else if (!roomOf(store.get(), id).members.isLoaded) await load(id);
  });

  /** All that are known, from the list and from what was loaded. */
  function known(id: string): readonly Member[] {
    const { members } = roomOf(store.get(), id);
    const shown = conversationOf(store.get(), id)?.members ?? [];
    return members.isLoaded ? withMembers(shown, members.items) : shown;
  }

  function change(id: string, difference: number, changeOf: Change): void {
    told.get(id)?.push(changeOf);
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

  /** Who is new begins somewhere, too. */
  function readers(id: string, changeOf: (known: Readers) => Readers): void {
    const known = conversationOf(store.get(), id)?.readers;
    if (known) store.set(withConversation(store.get(), id, { readers: changeOf(known) }));
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

  function show(id: string, changes: Partial<Room["members"]>): void {
    store.set(withRoom(store.get(), id, { members: { ...roomOf(store.get(), id).members, ...changes } }));
  }

  async function load(id: string): Promise<void> {
    const { isLoaded, isLoading, hasMore, items } = roomOf(store.get(), id).members;
    if (isLoading || (isLoaded && !hasMore)) return;
    await (isLoaded ? fetchPages(id, items, cursors.get(id) ?? null, items.length + 1) : loadFirst(id, 1));
  }

  /** As many as are held, as they are now. */
  async function refresh(id: string): Promise<void> {
    const { isLoaded, isLoading, items } = roomOf(store.get(), id).members;
    if (!isLoading && isLoaded) await loadFirst(id, items.length);
  }

  async function loadFirst(id: string, wanted: number): Promise<void> {
    stale.delete(id);
    try {
      await fetchPages(id, [], null, wanted);
      again.came(id);
    } catch (error) {
      if (roomOf(store.get(), id).members.isLoaded) stale.add(id);
      again.failed(id, error);
      throw error;
    }
  }

  /** `held`, and the pages from the cursor on until there are as many as wanted, instead of what is shown. */
  async function fetchPages(
    id: string,
    held: readonly Member[],
    cursor: string | null,
    wanted: number,
  ): Promise<void> {
    const since: Change[] = [];
    told.set(id, since);
    show(id, { isLoading: true });
    try {
      const found = await pagesFrom(id, held, cursor, wanted);
      if (told.get(id) !== since) return; // it was left meanwhile
      cursors.set(id, found.cursor);
      const hasMore = found.cursor !== null;
      const items = since.reduce((now, changeOf) => changeOf(now, !hasMore), found.items);
      show(id, { items, isLoaded: true, hasMore });
    } finally {
      if (told.get(id) === since) {
        told.delete(id);
        show(id, { isLoading: false });
      }
    }
    if (stale.has(id)) refresh(id).catch(() => {});
  }

  async function pagesFrom(id: string, held: readonly Member[], cursor: string | null, wanted: number) {
    let items = held;
    let next = cursor;
    do {
      const page = await rest.members(id, { cursor: next, limit: PAGE });
      items = withMembers(items, page.items);
      next = page.nextCursor;
    } while (next !== null && items.length < wanted);
    return { items, cursor: next };
  }

  /** What is shown of a conversation that is open; of others it is loaded when somebody looks. */
  function reconnected(id: string, { status, members }: Room): void {
    if (!members.isLoaded && !members.isLoading) return;
    if (status === "closed" && !members.isLoading) show(id, { items: [], isLoaded: false, hasMore: false });
    else {
      stale.add(id);
      refresh(id).catch(() => {});
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
      readers(id, (known) => risen(known, members, store.get().me?.userId ?? null));
      recount(id);
    },
    went(id, userIds, promoted) {
      const count = known(id).filter(({ userId }) => userIds.includes(userId)).length;
      const roles = new Map(promoted.map((member) => [member.userId, member]));
      change(id, -count, (held) =>
        withoutMembers(held, userIds).map((member) => roles.get(member.userId) ?? member),
      );
      readers(id, (known) => withoutReaders(known, userIds));
      recount(id);
    },
    changed(id, members) {
      const byId = new Map(members.map((member) => [member.userId, member]));
      change(id, 0, (held) => held.map((member) => byId.get(member.userId) ?? member));
    },
    load,
    reloadSoon,
    gone(id) {
      told.delete(id);
      stale.delete(id);
    },
    connected() {
      for (const [id, room] of Object.entries(store.get().rooms)) reconnected(id, room);
      again.connected();
    },
    dispose() {
      again.dispose();
      for (const timer of reloads.values()) clearTimeout(timer);
    },
  };
}
