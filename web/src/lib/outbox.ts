/**
 * One's own messages on their way. For each conversation one at a time: the next leaves when the one before it is
 * stored or refused for good, so their order holds whatever is lost, repeated or refused. A message keeps its `tempId`
 * for ever, so sending it once too often does no harm.
 */
import { type Backoff, delayOf } from "./backoff.ts";
import { type Entry, frameOf, measured } from "./entry.ts";
import type { SendMessage } from "./frames.ts";
import type { Failure } from "./types.ts";

export interface OutboxOptions {
  /** Hands a frame to the connection; false when there is none. */
  deliver: (frame: SendMessage) => boolean;
  /** An entry is new, or has changed. */
  onChange: (entry: Entry) => void;
  /** It was refused for good. */
  onFailed?: (entry: Entry) => void;
  /** An entry has gone: it is among the messages, or was discarded. */
  onRemove: (entry: Entry) => void;
  retry?: Backoff;
  /** The answer to a send is unusually late: perhaps the connection has died. */
  onLate?: () => void;
  lateAfter?: number;
  /** The gateway answers within ten seconds; after this long the answer is lost. */
  answerTimeout?: number;
  random?: () => number;
}

export interface Outbox {
  /** A new one, or one that was kept. */
  add(entry: Entry): void;
  /** The gateway has stored it. Returns the entry, if it is one of these. */
  sent(tempId: string): Entry | undefined;
  /** It is among the messages. */
  remove(tempId: string): void;
  refused(tempId: string, failure: Failure): void;
  retry(tempId: string): void;
  discard(tempId: string): void;
  /** Nothing that waits in this conversation will ever be taken, nor what is sent be seen. */
  refuseAll(conversationId: string, failure: Failure): void;
  connected(): void;
  disconnected(): void;
  has(tempId: string): boolean;
  of(conversationId: string): readonly Entry[];
  clear(): void;
}

interface Attempt {
  failures: number;
  /** Handed to this connection, and not answered. */
  isInFlight: boolean;
  timer: ReturnType<typeof setTimeout> | undefined;
}

const RETRY: Backoff = { base: 1000, cap: 30_000 };
const LATE_AFTER = 3000;
const ANSWER_TIMEOUT = 15_000;

export function createOutbox(options: OutboxOptions): Outbox {
  const { deliver, onChange, onRemove, random, retry = RETRY } = options;
  const { lateAfter = LATE_AFTER, answerTimeout = ANSWER_TIMEOUT } = options;
  const entries = new Map<string, Entry>();
  const attempts = new Map<string, Attempt>(); // of those that are being sent
  let isConnected = false;

  const of = (conversationId: string) =>
    [...entries.values()]
      .filter((entry) => entry.conversationId === conversationId)
      .sort((one, other) => one.order - other.order);

  function change(entry: Entry, changes: Partial<Entry>): Entry {
    const next = { ...entry, ...changes };
    entries.set(entry.tempId, next);
    onChange(next);
    return next;
  }

  /** Send the first that waits in this conversation, unless it is on its way. */
  function pump(conversationId: string): void {
    if (!isConnected) return;
    const first = of(conversationId).find(({ status }) => status === "waiting" || status === "sending");
    if (!first) return;
    const attempt = attempts.get(first.tempId) ?? { failures: 0, isInFlight: false, timer: undefined };
    if (attempt.isInFlight || attempt.timer !== undefined) return;
    attempts.set(first.tempId, attempt);
    if (!deliver(frameOf(first))) return;
    attempt.isInFlight = true;
    attempt.timer = setTimeout(() => {
      options.onLate?.();
      attempt.timer = setTimeout(() => again(first.tempId, 0), answerTimeout - lateAfter);
    }, lateAfter);
    if (first.status !== "sending") change(first, { status: "sending" });
  }

  function again(tempId: string, delay: number): void {
    const attempt = attempts.get(tempId);
    const entry = entries.get(tempId);
    if (!attempt || !entry) return;
    clearTimeout(attempt.timer);
    attempt.isInFlight = false;
    attempt.timer = setTimeout(() => {
      attempt.timer = undefined;
      pump(entry.conversationId);
    }, delay);
  }

  function settle(tempId: string): void {
    clearTimeout(attempts.get(tempId)?.timer);
    attempts.delete(tempId);
  }

  function drop(entry: Entry): void {
    settle(entry.tempId);
    entries.delete(entry.tempId);
    onRemove(entry);
    pump(entry.conversationId);
  }

  function fail(entry: Entry, failure: Failure): void {
    settle(entry.tempId);
    options.onFailed?.(change(entry, { status: "failed", failure }));
  }

  return {
    add(entry) {
      change(entry, measured(entry));
      pump(entry.conversationId);
    },
    sent(tempId) {
      const entry = entries.get(tempId);
      if (!entry) return undefined;
      settle(tempId);
      if (entry.status !== "sent") change(entry, { status: "sent", failure: null });
      pump(entry.conversationId);
      return entry;
    },
    remove(tempId) {
      const entry = entries.get(tempId);
      if (entry) drop(entry);
    },
    refused(tempId, failure) {
      const entry = entries.get(tempId);
      if (!entry || entry.status === "sent" || entry.status === "failed") return;
      const attempt = attempts.get(tempId);
      if (failure.retryable && attempt) {
        change(entry, { failure });
        again(tempId, failure.retryAfterMs ?? delayOf(attempt.failures++, retry, random));
      } else {
        fail(entry, failure);
        pump(entry.conversationId);
      }
    },
    retry(tempId) {
      const entry = entries.get(tempId);
      if (entry?.status !== "failed") return;
      change(entry, measured({ ...entry, status: "waiting", failure: null }));
      pump(entry.conversationId);
    },
    discard(tempId) {
      const entry = entries.get(tempId);
      if (entry && entry.status !== "sent") drop(entry);
    },
    refuseAll(conversationId, failure) {
      for (const entry of of(conversationId)) {
        if (entry.status === "sent") drop(entry);
        else if (entry.status !== "failed") fail(entry, failure);
      }
    },
    connected() {
      isConnected = true;
      for (const id of new Set([...entries.values()].map((entry) => entry.conversationId))) pump(id);
    },
    disconnected() {
      isConnected = false;
      for (const { timer } of attempts.values()) clearTimeout(timer);
      attempts.clear();
      for (const entry of entries.values())
        if (entry.status === "sending") change(entry, { status: "waiting" });
    },
    has: (tempId) => entries.has(tempId),
    of,
    clear() {
      for (const tempId of entries.keys()) settle(tempId);
      entries.clear();
    },
  };
}
