/** Threads that are open: a message with all replies to it, from the first one on, kept up to date as they come. */
import { type Backoff, delayOf } from "./backoff.ts";
import type { Context } from "./context.ts";
import { failureOf } from "./errors.ts";
import type { Message } from "./frames.ts";
import { counted, newest, replaced } from "./message.ts";
import { roomOf, withRoom } from "./state.ts";
import type { Failure, Thread } from "./types.ts";

/** The most that one call gives. */
const PAGE = 200;
const RETRY: Backoff = { base: 1000, cap: 30_000 };

interface Opened {
  readonly conversationId: string;
  readonly messageId: string;
  /** How many have it open. */
  holders: number;
  parent: Message | null;
  /** By rising seq. */
  replies: readonly Message[];
  isLoaded: boolean;
  isLoading: boolean;
  failure: Failure | null;
  failures: number;
  again: ReturnType<typeof setTimeout> | undefined;
}

export interface Threads {
  /** Until the returned function is called. */
  open(conversationId: string, messageId: string): () => void;
  /** Messages have come, from wherever. */
  saw(messages: readonly Message[]): void;
  changed(message: Message): void;
  /** What `shown` says of a conversation is another thing now. */
  showAgain(conversationId: string): void;
  /** What was seen is of another history; before `connected`. */
  forgetAll(): void;
  /** Something may have been missed. */
  connected(): void;
  dispose(): void;
}

/** `shown`: messages as this person is to see them. */
export function createThreads(
  context: Context,
  shown: (conversationId: string, messages: readonly Message[]) => readonly Message[],
): Threads {
  const { store, rest } = context;
  const threads = new Map<string, Opened>(); // by message id
  let isDisposed = false;

  function publish(thread: Opened): void {
    const { conversationId, messageId, isLoaded, isLoading, failure } = thread;
    // No event tells how many replies there are now.
    const [parent = null] = shown(
      conversationId,
      counted(thread.parent ? [thread.parent] : [], thread.replies),
    );
    const replies = shown(conversationId, thread.replies);
    const next: Thread = { messageId, parent, replies, isLoaded, isLoading, failure };
    const before = roomOf(store.get(), conversationId).threads;
    store.set(withRoom(store.get(), conversationId, { threads: { ...before, [messageId]: next } }));
  }

  function open(conversationId: string, messageId: string): () => void {
    const thread = threads.get(messageId) ?? newlyOpened(conversationId, messageId);
    threads.set(messageId, thread);
    thread.holders++;
    if (thread.holders === 1) void load(thread);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      thread.holders--;
      // Later, since whoever closes often opens again at once (a re-rendered page does).
      if (thread.holders === 0) setTimeout(() => thread.holders === 0 && close(thread));
    };
  }

  function close(thread: Opened): void {
    const { conversationId, messageId } = thread;
    clearTimeout(thread.again);
    threads.delete(messageId);
    const { [messageId]: _, ...others } = roomOf(store.get(), conversationId).threads;
    store.set(withRoom(store.get(), conversationId, { threads: others }));
  }

  async function load(thread: Opened): Promise<void> {
    if (thread.isLoading || isDisposed) return;
    clearTimeout(thread.again);
    thread.isLoading = true;
    publish(thread);
    const { conversationId, messageId } = thread;
    try {
      const parent = await rest.message(conversationId, messageId);
      thread.parent = thread.parent ? newest(thread.parent, parent) : parent;
      let afterSeq = 0;
      for (let hasMore = true; hasMore; ) {
        const page = await rest.replies(conversationId, messageId, { afterSeq, limit: PAGE });
        put(thread, page.items);
        afterSeq = page.items.at(-1)?.seq ?? afterSeq;
        hasMore = page.hasMore && page.items.length > 0;
      }
      Object.assign(thread, { isLoaded: true, failure: null, failures: 0 });
    } catch (error) {
      thread.failure = failureOf(error);
      const delay = thread.failure.retryAfterMs ?? delayOf(thread.failures++, RETRY);
      if (thread.failure.retryable) thread.again = setTimeout(() => void load(thread), delay);
    } finally {
      thread.isLoading = false;
    }
    if (threads.get(messageId) === thread && !isDisposed) publish(thread);
    else clearTimeout(thread.again);
  }

  /** Replies as they are now, new ones at their place. */
  function put(thread: Opened, messages: readonly Message[]): void {
    for (const message of messages) {
      const isHeld = thread.replies.some(({ seq }) => seq === message.seq);
      thread.replies = isHeld
        ? replaced(thread.replies, message)
        : [...thread.replies, message].sort((one, other) => one.seq - other.seq);
    }
  }

  function take(thread: Opened, message: Message): void {
    if (message.conversationId !== thread.conversationId) return;
    const { parent, replies } = thread;
    if (message.id === thread.messageId) {
      thread.parent = parent ? newest(parent, message) : message;
      thread.replies = replaced(replies, message); // which quote it
    }
    // Also one that was changed before its page came: a page that is on its way may be older.
    if (message.replyTo === thread.messageId) put(thread, [message]);
    if (thread.parent !== parent || thread.replies !== replies) publish(thread);
  }

  return {
    open,
    saw(messages) {
      if (threads.size)
        for (const message of messages) for (const thread of threads.values()) take(thread, message);
    },
    changed(message) {
      for (const thread of threads.values()) take(thread, message);
    },
    showAgain(conversationId) {
      for (const thread of threads.values()) if (thread.conversationId === conversationId) publish(thread);
    },
    forgetAll() {
      for (const thread of threads.values()) Object.assign(thread, { parent: null, replies: [] });
    },
    connected() {
      for (const thread of threads.values()) void load(thread);
    },
    dispose() {
      isDisposed = true;
      for (const { again } of threads.values()) clearTimeout(again);
    },
  };
}

function newlyOpened(conversationId: string, messageId: string): Opened {
  return {
    conversationId,
    messageId,
    holders: 0,
    parent: null,
    replies: [],
    isLoaded: false,
    isLoading: false,
    failure: null,
    failures: 0,
    again: undefined,
  };
}
