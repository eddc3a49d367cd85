/** How far this person has read, as it is told to the gateway: as seldom as is enough, and until it has answered. */
import { type Backoff, delayOf } from "./backoff.ts";
import { isRetryable } from "./errors.ts";
import type { ClientFrame, Error as ErrorFrame, ReadReceipt } from "./frames.ts";

/** The gateway carries out one mark of a conversation in this time; the highest seq is all that counts. */
const INTERVAL = 1000;
const RETRY: Backoff = { base: 1000, cap: 30_000 };

interface Mark {
  /** What is to be told. */
  seq: number;
  /** What the gateway knows. */
  known: number;
  /** The last one that is on its way. */
  sent: { requestId: string; seq: number } | null;
  sentAt: number;
  next: ReturnType<typeof setTimeout> | undefined;
  failures: number;
}

export interface Reads {
  mark(conversationId: string, seq: number): void;
  /** This person has read so far, here or elsewhere; perhaps the answer to a mark. */
  receipt(frame: ReadReceipt): void;
  /** Returns whether this answers a mark. */
  refused(frame: ErrorFrame): boolean;
  /** Marks that were set meanwhile, or were not answered, are told now. */
  connected(): void;
  disconnected(): void;
  /** What waits for its time is told now: the page may be about to end. */
  flush(): void;
}

export function createReads(send: (frame: ClientFrame) => boolean): Reads {
  const marks = new Map<string, Mark>();
  let requests = 0;
  let isServed = true; // until a gateway says otherwise

  function markOf(id: string): Mark {
    const mark = marks.get(id) ?? { seq: 0, known: 0, sent: null, sentAt: 0, next: undefined, failures: 0 };
    marks.set(id, mark);
    return mark;
  }

  function tell(id: string, mark: Mark): void {
    if (!isServed || mark.next !== undefined || mark.seq <= Math.max(mark.known, mark.sent?.seq ?? 0)) return;
    const wait = mark.sentAt + INTERVAL - Date.now();
    if (wait > 0) {
      later(id, mark, wait);
      return;
    }
    const sent = { requestId: `read-${++requests}`, seq: mark.seq };
    if (!send({ type: "mark_read", conversationId: id, ...sent })) return;
    mark.sent = sent;
    mark.sentAt = Date.now();
  }

  function later(id: string, mark: Mark, wait: number): void {
    mark.next = setTimeout(() => {
      mark.next = undefined;
      tell(id, mark);
    }, wait);
  }

  function now(id: string, mark: Mark): void {
    clearTimeout(mark.next);
    mark.next = undefined;
    mark.sentAt = 0;
    tell(id, mark);
  }

  return {
    mark(id, seq) {
      const mark = markOf(id);
      mark.seq = Math.max(mark.seq, seq);
      tell(id, mark);
    },
    receipt({ conversationId: id, seq, requestId }) {
      const mark = markOf(id);
      mark.known = Math.max(mark.known, seq);
      if (mark.sent === null || mark.sent.requestId !== requestId) return;
      // It may know of less than was said: then there is no more to read.
      mark.known = Math.max(mark.known, mark.sent.seq);
      mark.sent = null;
      mark.failures = 0;
    },
    refused({ requestId, code, retryAfterMs }) {
      const found = [...marks].find(([, { sent }]) => sent !== null && sent.requestId === requestId);
      if (!found) return false;
      const [id, mark] = found;
      if (code === "UNKNOWN_TYPE") isServed = false;
      if (!isRetryable(code)) mark.known = mark.sent?.seq ?? 0;
      else if (mark.next === undefined) later(id, mark, retryAfterMs ?? delayOf(mark.failures++, RETRY));
      mark.sent = null;
      return true;
    },
    connected() {
      for (const [id, mark] of marks) now(id, mark);
    },
    disconnected() {
      for (const mark of marks.values()) {
        clearTimeout(mark.next);
        mark.next = undefined;
        mark.sent = null;
      }
    },
    flush() {
      for (const [id, mark] of marks) if (mark.next !== undefined) now(id, mark);
    },
  };
}
