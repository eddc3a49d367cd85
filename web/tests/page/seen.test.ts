import { describe, expect, it } from "vitest";
import type { Spoken } from "../../src/page/messages/rows.ts";
import { seenOf } from "../../src/page/reading/seen.ts";

function say(seq: number | null, senderId: string): Spoken {
  return {
    id: seq === null ? null : `id${seq}`,
    key: `m${seq}`,
    seq,
    senderId,
    senderName: senderId.toUpperCase(),
    content: "hello",
    at: new Date(2026, 10, 25),
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

const group = (readers: Record<string, number>, memberCount = 3) => ({
  type: "group" as const,
  memberCount,
  readers,
});
const members = [
  { userId: "me", userName: "Me" },
  { userId: "bob", userName: "Bob" },
];
const messages = [say(1, "me"), say(2, "carol"), say(3, "me"), say(4, "carol"), say(null, "me")];

describe("who has seen", () => {
  it("is about the newest message of one's own that is stored", () => {
    expect(seenOf(group({ bob: 3, carol: 4, dan: 2 }), members, messages, "me")).toEqual({
      key: "m3",
      id: "id3",
      isDirect: false,
      people: [
        { userId: "bob", name: "Bob" },
        { userId: "carol", name: "CAROL" }, // not among the members that are here, but she spoke
      ],
    });
  });

  it("is not about what was deleted", () => {
    const deleted = [say(1, "me"), { ...say(2, "me"), isDeleted: true }];
    expect(seenOf(group({ bob: 2 }), members, deleted, "me")?.key).toBe("m1");
  });

  it("knows people without a name, and not oneself", () => {
    expect(seenOf(group({ me: 9, eve: 9 }), members, messages, "me")?.people).toEqual([
      { userId: "eve", name: null },
    ]);
  });

  it("is nothing before anybody has, without words of one's own, and in a crowd", () => {
    expect(seenOf(group({ bob: 2 }), members, messages, "me")).toBeNull();
    expect(seenOf(group({ bob: 4 }), members, [say(4, "carol")], "me")).toBeNull();
    expect(seenOf(group({ bob: 4 }, 101), members, messages, "me")).toBeNull();
  });
});
