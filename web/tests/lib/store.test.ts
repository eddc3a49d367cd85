import { expect, test, vi } from "vitest";
import { INITIAL, roomOf, withConversations, withDraft, withRoom } from "../../src/lib/state.ts";
import { createStore } from "../../src/lib/store.ts";
import type { Conversation } from "../../src/lib/types.ts";

test("listeners hear of every change once, and of none that is none", () => {
  const store = createStore("a");
  const heard: string[] = [];
  const listener = () => heard.push(store.get());
  const ends = [store.subscribe(listener), store.subscribe(listener)];
  store.set("b");
  store.set("b");
  expect(heard).toEqual(["b", "b"]); // it subscribed twice
  ends[0]?.();
  store.batch(() => {
    store.set("c");
    store.batch(() => store.set("d"));
    expect(heard).toHaveLength(2);
    expect(store.get()).toBe("d");
  });
  expect(heard).toEqual(["b", "b", "d"]);
  ends[1]?.();
  store.set("e");
  expect(heard).toHaveLength(3);
});

test("what one listener throws is reported, and the others hear all the same", () => {
  const reported: (() => void)[] = [];
  const spy = vi.spyOn(globalThis, "queueMicrotask").mockImplementation((report) => reported.push(report));
  const store = createStore(1);
  const heard: number[] = [];
  store.subscribe(() => {
    throw new Error("in a callback");
  });
  store.subscribe(() => heard.push(store.get()));
  store.set(2);
  spy.mockRestore();
  expect(heard).toEqual([2]);
  expect(reported).toHaveLength(1);
  expect(reported[0]).toThrow("in a callback");
});

const conversation = (id: string, lastActivityAt: string): Conversation => ({
  id,
  type: "group",
  name: id,
  createdAt: "2026-01-01T00:00:00.000Z",
  createdBy: "bob",
  lastActivityAt,
  lastSeq: 0,
  lastMessage: null,
  lastReadSeq: 0,
  readers: {},
  unreadCount: 0,
  unreadMentions: 0,
  members: [],
  memberCount: 0,
  role: "member" as const,
  isPublic: false,
  closedAt: null,
  isMuted: false,
  isArchived: false,
});

test("the list is sorted by activity, and equal content is the same object", () => {
  const [old, young] = [conversation("old", "2026-01-02"), conversation("young", "2026-01-03")];
  const state = withConversations(INITIAL, [old, young]);
  expect(state.conversations.items).toEqual([young, old]);
  expect(withConversations(state, [{ ...old }, { ...young }])).toBe(state);
  const bumped = withConversations(state, [{ ...old, lastActivityAt: "2026-01-04" }]);
  expect(bumped.conversations.items.map(({ id }) => id)).toEqual(["old", "young"]);
  expect(bumped.conversations.items[1]).toBe(young);
});

test("a room that changes leaves the others and its own parts as they are", () => {
  const one = withRoom(withRoom(INITIAL, "a", { draft: "x" }), "b", {});
  const two = withRoom(one, "a", { draft: "y" });
  expect(two.rooms.b).toBe(one.rooms.b);
  expect(two.rooms.a?.messages).toBe(one.rooms.a?.messages);
  expect(withRoom(two, "a", { draft: "y", typing: [] })).toBe(two);
});

test("what a draft does not say anew stays, and a thread has its own", () => {
  const reply = { messageId: "m1", seq: 1, senderId: "bob", senderName: "Bob", preview: "where?" };
  const begun = withDraft(withDraft(INITIAL, "a", { text: "x", reply }), "a", { text: "xy" });
  expect(roomOf(begun, "a")).toMatchObject({ draft: "xy", draftReply: reply, threadDrafts: {} });
  const both = withDraft(withDraft(begun, "a", { text: "z" }, "m1"), "a", { reply: null });
  expect(roomOf(both, "a")).toMatchObject({
    draft: "xy",
    draftReply: null,
    threadDrafts: { m1: { text: "z", reply: null } },
  });
  expect(roomOf(withDraft(both, "a", { text: "" }, "m1"), "a").threadDrafts).toEqual({});
});
