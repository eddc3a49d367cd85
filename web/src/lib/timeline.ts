/**
 * The messages of one conversation that this client holds: a window without holes, and what came ahead of it.
 *
 * What is ahead waits until the messages before it have come, live or over REST, so nobody ever sees a hole or an
 * order that changes. Values are immutable; functions return the same one where nothing changed.
 */
import type { Message } from "./frames.ts";
import { counted, replaced } from "./message.ts";

export interface Timeline {
  /** The window follows this seq; null before it is known where it begins. */
  readonly base: number | null;
  /** By seq: base + 1, base + 2 … */
  readonly messages: readonly Message[];
  /** By rising seq, above the window and not next to it. */
  readonly ahead: readonly Message[];
  /** The highest seq that is known to exist. */
  readonly head: number;
}

export const EMPTY: Timeline = { base: null, messages: [], ahead: [], head: 0 };

/** The last seq of the window; null before there is one. */
export function lastOf({ base, messages }: Timeline): number | null {
  return messages.at(-1)?.seq ?? base;
}

export function hasOlder({ base }: Timeline): boolean {
  return base !== null && base > 0;
}

/** A new window, which begins after `base`. What is known to be above it stays. */
export function startAfter(base: number, { ahead, head }: Timeline = EMPTY): Timeline {
  return advance({
    base,
    messages: [],
    ahead: ahead.filter(({ seq }) => seq > base),
    head: Math.max(head, base),
  });
}

/** Messages from anywhere, in any order. Those below the window are dropped: only `prepend` widens it downwards. */
export function add(timeline: Timeline, messages: readonly Message[]): Timeline {
  const last = lastOf(timeline);
  if (last === null) return timeline;
  const above = new Map(timeline.ahead.map((message) => [message.seq, message]));
  for (const message of messages) if (message.seq > last) above.set(message.seq, message);
  if (above.size === timeline.ahead.length) return timeline;
  const ahead = [...above.values()].sort(bySeq);
  return advance({ ...timeline, ahead, head: Math.max(timeline.head, ahead.at(-1)?.seq ?? 0) });
}

/** What is next to the window becomes part of it. */
function advance(timeline: Timeline): Timeline {
  const { ahead } = timeline;
  const last = lastOf(timeline) ?? 0;
  const broken = ahead.findIndex(({ seq }, at) => seq !== last + 1 + at);
  const count = broken < 0 ? ahead.length : broken;
  if (count === 0) return timeline;
  const next = ahead.slice(0, count);
  return {
    ...timeline,
    messages: counted([...timeline.messages, ...next], next),
    ahead: ahead.slice(count),
  };
}

/** Older messages, as a page that ends just below the window. */
export function prepend(timeline: Timeline, page: readonly Message[], hasMore: boolean): Timeline {
  if (timeline.base === null) return timeline;
  const below: Message[] = [];
  for (const message of page.toSorted(bySeq).reverse())
    if (message.seq === timeline.base - below.length) below.unshift(message);
  // The gateway says that nothing is before the page: then nothing is, whatever the number.
  const base = hasMore ? timeline.base - below.length : 0;
  const messages = [...below, ...timeline.messages];
  return { ...timeline, base, messages: counted(messages, messages) };
}

/** A message as it is now, where it or what quotes it is held; an older state changes nothing. */
export function replace(timeline: Timeline, message: Message): Timeline {
  const messages = replaced(timeline.messages, message);
  const ahead = replaced(timeline.ahead, message);
  if (messages === timeline.messages && ahead === timeline.ahead) return timeline;
  return { ...timeline, messages, ahead };
}

export function isHeld({ messages, ahead }: Timeline, { seq }: Message): boolean {
  return [messages, ahead].some((held) => held.some((one) => one.seq === seq));
}

/** Somebody said that messages up to `head` exist. */
export function knowHead(timeline: Timeline, head: number): Timeline {
  return head > timeline.head ? { ...timeline, head } : timeline;
}

/** The seqs that are missing right above the window, both inclusive; null when none is. */
export function holeIn(timeline: Timeline): { from: number; to: number } | null {
  const last = lastOf(timeline);
  if (last === null) return null;
  const next = timeline.ahead[0]?.seq ?? timeline.head + 1;
  return next > last + 1 ? { from: last + 1, to: next - 1 } : null;
}

/** The newest of some messages that follow each other without a hole: what a window may be made of. */
export function unbrokenEnd(messages: readonly Message[]): Message[] {
  const end: Message[] = [];
  for (const message of messages.toSorted(bySeq).reverse()) {
    const next = end[0];
    if (next && message.seq !== next.seq - 1) break;
    end.unshift(message);
  }
  return end;
}

function bySeq(one: Message, other: Message): number {
  return one.seq - other.seq;
}
