/** What is pinned in a conversation: loaded when somebody asks, and kept up to date from then on. */
import { createAgain } from "./again.ts";
import type { Context } from "./context.ts";
import type { ConversationUpdated, Message } from "./frames.ts";
import { counted, newest } from "./message.ts";
import { roomOf, withRoom } from "./state.ts";
import type { Pin } from "./types.ts";

export interface Pins {
  load(conversationId: string): Promise<void>;
  /** It shows at once, and goes again when it is refused. */
  pin(conversationId: string, message: Message): Promise<void>;
  unpin(conversationId: string, messageId: string): Promise<void>;
  /** Perhaps somebody pinned or unpinned something. */
  told(frame: ConversationUpdated): void;
  /** A message is another one now. */
  changed(message: Message): void;
  /** Messages have come, replies to what is pinned among them. */
  saw(messages: readonly Message[]): void;
  /** What was told while there was no connection is asked for. */
  connected(): void;
  dispose(): void;
}

type Change = (items: readonly Pin[]) => readonly Pin[];

export function createPins(context: Context): Pins {
  const { store, rest } = context;
  /** By conversation: so many looks and changes there were. An answer that was asked for before the last is out of date. */
  const turns = new Map<string, number>();
  /** By conversation: what was told of messages while an answer is on its way, which may be older. */
  const since = new Map<string, Change[]>();
  const again = createAgain(context, load);

  const itemsOf = (id: string) => roomOf(store.get(), id).pins.items;
  const show = (id: string, items: readonly Pin[], isLoaded = roomOf(store.get(), id).pins.isLoaded) =>
    store.set(withRoom(store.get(), id, { pins: { items, isLoaded } }));

  function turn(id: string): number {
    const next = (turns.get(id) ?? 0) + 1;
    turns.set(id, next);
    return next;
  }

  async function load(id: string): Promise<void> {
    const own = turn(id);
    const told: Change[] = [];
    since.set(id, told);
    try {
      let items: readonly Pin[] = (await rest.pins(id)).items;
      if (turns.get(id) !== own) return;
      for (const change of told) items = change(items);
      // They are counted a moment after they are told.
      show(id, withReplies(items, roomOf(store.get(), id).messages), true);
      again.came(id);
    } catch (error) {
      again.failed(id, error);
      throw error;
    } finally {
      if (since.get(id) === told) since.delete(id);
    }
  }

  function apply(id: string, change: Change): void {
    since.get(id)?.push(change);
    const items = itemsOf(id);
    const next = change(items);
    if (next !== items) show(id, next);
  }

  /** In the background. */
  function reload(id: string): void {
    if (!roomOf(store.get(), id).pins.isLoaded) return;
    again.came(id); // one call is enough
    load(id).catch(() => {});
  }

  async function change(id: string, items: readonly Pin[], done: Promise<void>): Promise<void> {
    turn(id);
    show(id, items);
    try {
      await done;
    } finally {
      // As it is now, whether it was done or refused.
      await load(id).catch(() => {});
    }
  }

  return {
    load,
    pin(id, message) {
      const { me } = store.get();
      const pin = { message, pinnedBy: me?.userId ?? "", pinnedAt: new Date().toISOString() };
      const others = itemsOf(id).filter((one) => one.message.id !== message.id);
      return change(id, [pin, ...others], rest.pin(id, message.id));
    },
    unpin(id, messageId) {
      const others = itemsOf(id).filter((one) => one.message.id !== messageId);
      return change(id, others, rest.unpin(id, messageId));
    },
    told({ conversationId, updateType }) {
      if (updateType === "pinned" || updateType === "unpinned") reload(conversationId);
    },
    changed: (message) => apply(message.conversationId, (items) => withMessage(items, message)),
    saw(messages) {
      const [first] = messages;
      if (first && messages.some(({ replyTo }) => replyTo !== undefined))
        apply(first.conversationId, (items) => withReplies(items, messages));
    },
    connected() {
      for (const id of Object.keys(store.get().rooms)) reload(id);
      again.connected();
    },
    dispose: again.dispose,
  };
}

/** One of the messages as it is now; the same list where that is known. What is deleted is pinned no more. */
function withMessage(items: readonly Pin[], message: Message): readonly Pin[] {
  const place = items.findIndex((pin) => pin.message.id === message.id);
  const pin = items[place];
  if (!pin) return items;
  if (message.isDeleted) return items.toSpliced(place, 1);
  const now = newest(pin.message, message);
  return now === pin.message ? items : items.with(place, { ...pin, message: now });
}

/** Nothing else tells of them. */
function withReplies(items: readonly Pin[], replies: readonly Message[]): readonly Pin[] {
  const before = items.map(({ message }) => message);
  const now = counted(before, replies);
  if (now.every((message, at) => message === before[at])) return items;
  return items.map((pin, at) => ({ ...pin, message: now[at] ?? pin.message }));
}
