import { describe, expect, it } from "vitest";
import { createChanging, withReaction } from "../../src/lib/changing.ts";
import type { ClientFrame, Message } from "../../src/lib/frames.ts";

const message: Message = {
  id: "m1",
  conversationId: "c1",
  seq: 1,
  senderId: "bob",
  senderName: "Bob",
  senderAvatar: null,
  content: "hello",
  createdAt: "2026-01-31T12:00:00.000Z",
};
const refusal = { code: "FORBIDDEN", message: "No.", retryable: false } as const;

function setUp(isConnected = true) {
  const sent: ClientFrame[] = [];
  let shown = message;
  const changing = createChanging({
    send: (frame) => isConnected && sent.push(frame) > 0,
    myId: () => "alice",
    find: () => shown,
    show: (next) => {
      shown = next;
    },
  });
  return { changing, sent, shown: () => shown, tell: (next: Message) => (shown = next) };
}

describe("changes that were asked for", () => {
  it("resolve when the change comes with their requestId", async () => {
    const { changing, sent } = setUp();
    const edited = changing.edit("c1", "m1", "other");
    expect(sent[0]).toMatchObject({
      type: "edit_message",
      conversationId: "c1",
      messageId: "m1",
      content: "other",
    });
    changing.done(sent[0]?.requestId);
    await edited;
  });

  it("reject with the gateway's reason", async () => {
    const { changing, sent } = setUp();
    const deleted = changing.remove("c1", "m1");
    expect(changing.refused(sent[0]?.requestId ?? "", refusal)).toBe(true);
    await expect(deleted).rejects.toMatchObject(refusal);
    expect(changing.refused("other", refusal)).toBe(false);
  });

  it("reject without a connection, and when it is lost", async () => {
    await expect(setUp(false).changing.edit("c1", "m1", "x")).rejects.toMatchObject({ code: "NETWORK" });
    const { changing } = setUp();
    const edited = changing.edit("c1", "m1", "x");
    changing.disconnected();
    await expect(edited).rejects.toMatchObject({ code: "NETWORK", retryable: true });
  });
});

describe("a reaction", () => {
  it("shows at once, and stays when it is stored", async () => {
    const { changing, sent, shown } = setUp();
    const reacted = changing.react("c1", "m1", "👍", true);
    expect(shown().reactions).toEqual({ "👍": ["alice"] });
    changing.done(sent[0]?.requestId);
    await reacted;
    expect(shown().reactions).toEqual({ "👍": ["alice"] });
  });

  it("goes again when it is refused", async () => {
    const { changing, sent, shown } = setUp();
    const reacted = changing.react("c1", "m1", "👍", true);
    changing.refused(sent[0]?.requestId ?? "", refusal);
    await expect(reacted).rejects.toMatchObject(refusal);
    expect(shown().reactions).toBeUndefined();
  });

  it("is what the gateway said, where it said something meanwhile", async () => {
    const { changing, shown, tell } = setUp();
    const reacted = changing.react("c1", "m1", "👍", true);
    tell({ ...message, reactions: { "👍": ["alice"] }, changeSeq: 4 });
    changing.disconnected();
    await expect(reacted).rejects.toMatchObject({ code: "NETWORK" });
    expect(shown().reactions).toEqual({ "👍": ["alice"] });
  });

  it("is each person's once, and empty kinds vanish", () => {
    const one = withReaction(message, "👍", "alice", true);
    const two = withReaction(withReaction(one, "👍", "alice", true), "🎉", "bob", true);
    expect(two.reactions).toEqual({ "👍": ["alice"], "🎉": ["bob"] });
    expect(withReaction(two, "👍", "alice", false).reactions).toEqual({ "🎉": ["bob"] });
    expect(withReaction(one, "👍", "alice", false)).toEqual(message);
  });
});
