/**
 * The messages of one conversation that this client holds: a window without holes, and what came ahead of it.
 *
 * What is ahead waits until the messages before it have come, live or over REST, so nobody ever sees a hole or an
 * order that changes. Values are immutable; functions return the same one where nothing changed.
 */
import type { Message } from "./frames.ts";

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
  return {
    ...timeline,
    messages: [...timeline.messages, ...ahead.slice(0, count)],
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
  return { ...timeline, base, messages: [...below, ...timeline.messages] };
}

/** A message as it is now, where it is held; an older state of it changes nothing. */
export function replace(timeline: Timeline, message: Message): Timeline {
  const changed = (held: Message) =>
    held.seq === message.seq ? newer(held, message) : unquoted(held, message);
  const messages = mapped(timeline.messages, changed);
  const ahead = mapped(timeline.ahead, changed);
  return messages === timeline.messages && ahead === timeline.ahead
    ? timeline
    : { ...timeline, messages, ahead };
}

/** A reply without the words of what it replies to, once that is deleted: the gateway tells of the deletion only. */
function unquoted(held: Message, message: Message): Message {
  if (!message.isDeleted || held.reply?.messageId !== message.id || held.reply.isDeleted) return held;
  return { ...held, reply: { ...held.reply, preview: "", isDeleted: true } };
}

function mapped(messages: readonly Message[], change: (held: Message) => Message): readonly Message[] {
  const next = messages.map(change);
  return next.some((message, at) => message !== messages[at]) ? next : messages;
}

function newer(held: Message, message: Message): Message {
  if ((message.changeSeq ?? 0) < (held.changeSeq ?? 0)) return held;
  // What changes is told to everybody alike, without the `tempId` that is only its sender's.
  return held.tempId === undefined ? message : { tempId: held.tempId, ...message };
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
