import { describe, expect, it } from "vitest";
import { isEmojiOnly, rowsOf, type Spoken } from "../../src/page/messages/rows.ts";

const START = new Date(2026, 10, 25, 12, 0).getTime();

function say(seq: number, senderId: string, minutes: number): Spoken {
  return {
    id: `m${seq}`,
    key: `m${seq}`,
    seq,
    senderId,
    senderName: senderId,
    content: "hello",
    at: new Date(START + minutes * 60_000),
    state: "stored",
    failure: null,
    isEdited: false,
    isDeleted: false,
    attachments: [],
    quoted: null,
    reactions: [],
    replies: 0,
    mentions: [],
    mentionAll: false,
  };
}

const shape = (messages: Spoken[], newAfter: number | null = null, hasOlder = false) =>
  rowsOf(messages, { userId: "me", newAfter, hasOlder }).map(
    ({ message, isFirst, isLast, startsDay, startsNew }) =>
      `${message.key}${isFirst ? " first" : ""}${isLast ? " last" : ""}${startsDay ? " day" : ""}${startsNew ? " new" : ""}`,
  );

describe("rows", () => {
  it("are grouped by sender, within five minutes and one day", () => {
    const messages = [say(1, "a", 0), say(2, "a", 1), say(3, "b", 2), say(4, "b", 20), say(5, "b", 24 * 60)];
    expect(shape(messages)).toEqual([
      "m1 first day",
      "m2 last",
      "m3 first last",
      "m4 first last",
      "m5 first last day",
    ]);
  });

  it("begin the new ones at the first of somebody else, which divides a group", () => {
    const messages = [say(1, "a", 0), say(2, "me", 1), say(3, "a", 1), say(4, "a", 2)];
    expect(shape(messages, 1)[2]).toBe("m3 first new");
    expect(shape([say(1, "a", 0), say(2, "a", 1)], 1)).toEqual(["m1 first last day", "m2 first last new"]);
    expect(shape(messages, 4).join()).not.toContain("new");
  });

  it("do not say where the new ones begin before that has come", () => {
    const page = [say(8, "me", 0), say(9, "a", 1), say(10, "a", 2)];
    expect(shape(page, 3, true).join()).not.toContain("new");
    expect(shape(page, 3, false).join()).toContain("m9 first new");
    expect(shape(page, 8, true).join()).toContain("m9 first new");
  });

  it("do not change when earlier messages come above them", () => {
    const earlier = [say(1, "a", 0), say(2, "b", 1), say(3, "b", 2)];
    const page = [say(4, "b", 3), say(5, "b", 4), say(6, "a", 5)];
    const before = shape(page, null, true);
    const after = shape([...earlier, ...page]);
    expect(after.slice(-before.length)).toEqual(before);
  });
});

describe("emoji", () => {
  it.each(["🌳", "🌳🌤️", "👩‍👩‍👧 👍🏽 🇫🇷"])("%s is shown large", (text) =>
    expect(isEmojiOnly(text)).toBe(true),
  );
  it.each(["", "hello 🌳", "1", "🌳🌳🌳🌳", "#"])("%j is not", (text) =>
    expect(isEmojiOnly(text)).toBe(false),
  );
});
