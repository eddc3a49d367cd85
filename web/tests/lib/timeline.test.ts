import { describe, expect, test } from "vitest";
import type { Message } from "../../src/lib/frames.ts";
import * as timeline from "../../src/lib/timeline.ts";
import { range } from "./support/chats.ts";

const message = (seq: number, content = `m${seq}`): Message => ({
  id: `id-${seq}`,
  conversationId: "room",
  seq,
  senderId: "bob",
  senderName: "Bob",
  senderAvatar: null,
  content,
  createdAt: "2026-01-01T00:00:00.000Z",
});
const messages = (...seqs: number[]) => seqs.map((seq) => message(seq));
const seqs = ({ messages, ahead }: timeline.Timeline) => [
  messages.map(({ seq }) => seq),
  ahead.map(({ seq }) => seq),
];
const windowAfter = (base: number, ...known: number[]) =>
  timeline.add(timeline.startAfter(base), messages(...known));

describe("adding", () => {
  test("what follows the window joins it, in order and once", () => {
    expect(seqs(windowAfter(0, 2, 1, 3, 2))).toEqual([[1, 2, 3], []]);
    expect(seqs(timeline.add(windowAfter(0, 1, 2), messages(2, 3)))).toEqual([[1, 2, 3], []]);
  });

  test("what is ahead waits, and joins when the hole is filled", () => {
    const holed = windowAfter(0, 1, 4, 3, 6);
    expect(seqs(holed)).toEqual([[1], [3, 4, 6]]);
    expect(timeline.holeIn(holed)).toEqual({ from: 2, to: 2 });
    const filled = timeline.add(holed, messages(2));
    expect(seqs(filled)).toEqual([[1, 2, 3, 4], [6]]);
    expect(timeline.holeIn(filled)).toEqual({ from: 5, to: 5 });
    expect(timeline.holeIn(timeline.add(filled, messages(5)))).toBeNull();
  });

  test("what is known already changes nothing, not even the object", () => {
    const known = windowAfter(0, 1, 2, 5);
    expect(timeline.add(known, messages(1, 2, 5))).toBe(known);
    expect(timeline.add(known, [])).toBe(known);
  });

  test("nothing is added before it is known where the window begins, nor below it", () => {
    expect(timeline.add(timeline.EMPTY, messages(1))).toBe(timeline.EMPTY);
    expect(seqs(timeline.add(windowAfter(10, 11), messages(3)))).toEqual([[11], []]);
  });

  test("any order of arrival ends the same", () => {
    const all = range(1, 60);
    for (let round = 0; round < 50; round++) {
      const shuffled = all
        .map((seq) => ({ seq, key: Math.random() }))
        .sort((one, other) => one.key - other.key);
      let held = timeline.startAfter(0);
      for (const { seq } of shuffled) held = timeline.add(held, messages(seq));
      expect(seqs(held)).toEqual([all, []]);
    }
  });
});

describe("holes", () => {
  test("a head that somebody told of is a hole up to it", () => {
    expect(timeline.holeIn(timeline.knowHead(windowAfter(0, 1, 2), 5))).toEqual({ from: 3, to: 5 });
    expect(timeline.holeIn(timeline.knowHead(windowAfter(0, 1, 2), 2))).toBeNull();
    expect(timeline.holeIn(timeline.EMPTY)).toBeNull();
  });

  test("a new window keeps what is above it", () => {
    const holed = windowAfter(0, 1, 50, 51, 53);
    expect(seqs(timeline.startAfter(49, holed))).toEqual([[50, 51], [53]]);
    expect(timeline.hasOlder(timeline.startAfter(49, holed))).toBe(true);
  });
});

describe("older messages", () => {
  test("a page goes before the window; at the first seq nothing is older", () => {
    const later = windowAfter(10, 11, 12);
    expect(timeline.hasOlder(later)).toBe(true);
    const longer = timeline.prepend(later, messages(...range(6, 10)), true);
    expect(seqs(longer)).toEqual([range(6, 12), []]);
    const whole = timeline.prepend(longer, messages(...range(1, 5)), false);
    expect(seqs(whole)).toEqual([range(1, 12), []]);
    expect(timeline.hasOlder(whole)).toBe(false);
  });

  test("a page that does not fit leaves no hole", () => {
    expect(seqs(timeline.prepend(windowAfter(10, 11), messages(8, 9), true))).toEqual([[11], []]);
    expect(seqs(timeline.prepend(windowAfter(10, 11), messages(7, 9, 10), true))).toEqual([[9, 10, 11], []]);
  });
});

test("a change replaces the message and no other object", () => {
  const before = windowAfter(0, 1, 2, 3);
  const later = timeline.replace(before, { ...message(2), content: "", isDeleted: true });
  expect(later.messages[1]).toMatchObject({ content: "", isDeleted: true });
  expect(later.messages[0]).toBe(before.messages[0]);
  expect(timeline.replace(before, message(9))).toBe(before);
});

test("of kept messages the newest without a hole are taken", () => {
  expect(timeline.unbrokenEnd(messages(1, 2, 5, 6, 7)).map(({ seq }) => seq)).toEqual([5, 6, 7]);
  expect(timeline.unbrokenEnd([])).toEqual([]);
});

test("an older state of a message changes nothing, and a tempId stays its sender's", () => {
  const held = { ...message(1), tempId: "t", changeSeq: 5, content: "new" };
  const before = timeline.add(timeline.startAfter(0), [held]);
  expect(timeline.replace(before, { ...message(1), changeSeq: 4 })).toBe(before);
  const after = timeline.replace(before, { ...message(1), changeSeq: 6, content: "newest" });
  expect(after.messages[0]).toEqual({ ...message(1), tempId: "t", changeSeq: 6, content: "newest" });
});

test("a deleted message is no longer quoted", () => {
  const reply = { messageId: "id-1", seq: 1, senderId: "bob", senderName: "Bob", preview: "m1" };
  const before = timeline.add(timeline.startAfter(0), [
    message(1),
    { ...message(2), replyTo: "id-1", reply },
  ]);
  const edited = timeline.replace(before, { ...message(1), content: "other", changeSeq: 1 });
  expect(edited.messages[1]).toBe(before.messages[1]);
  const deleted = timeline.replace(edited, { ...message(1), content: "", isDeleted: true, changeSeq: 2 });
  expect(deleted.messages[1]?.reply).toEqual({ ...reply, preview: "", isDeleted: true });
});
