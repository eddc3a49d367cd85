import { afterEach, beforeEach, expect, test } from "vitest";
import type { NotificationEntry } from "../../src/lib/types.ts";
import { type Client, type Scene, startScene } from "./support/chats.ts";
import { eventually } from "./support/eventually.ts";

let scene: Scene;
let alice: Client;

beforeEach(async () => {
  scene = await startScene();
  scene.gateway.addRoom("room", ["alice", "bob"]);
  scene.gateway.addRoom("other", ["alice", "bob"]);
  alice = scene.join({}, { settled: 100_000 });
  await alice.becomes("connected");
});
afterEach(() => scene.end());

const list = () => alice.chat.getSnapshot().notifications;
const ids = () => list().items.map(({ id }) => id);
const unread = () => list().items.flatMap(({ id, readAt }) => (readAt === null ? [id] : []));

function tell(id: string, more: Partial<NotificationEntry> = {}): void {
  const entry = {
    kind: "mention",
    conversationId: "room",
    conversationName: "Room",
    count: 1,
    seq: 1,
  } as const;
  scene.gateway.told.unshift({ id, ...entry, createdAt: "2026-01-31T12:00:00.000Z", readAt: null, ...more });
}

test("pages come one after the other, and no entry twice", async () => {
  for (const id of ["a", "b", "c"]) tell(id);
  await alice.chat.loadNotifications();
  expect(ids()).toEqual(["c", "b"]);
  expect(list()).toMatchObject({ unreadCount: 3, hasMore: true, isLoaded: true });
  tell("d"); // everything moves down by one
  await Promise.all([alice.chat.loadNotifications(), alice.chat.loadNotifications()]);
  expect(ids()).toEqual(["c", "b", "a"]);
  expect(list()).toMatchObject({ unreadCount: 4, hasMore: false });
  await alice.chat.loadNotifications();
  expect(ids()).toEqual(["c", "b", "a"]);
});

test("what is told while one looks is among them in a moment", async () => {
  const other = scene.join({}, { settled: 50 });
  await other.becomes("connected");
  const first = () => other.chat.getSnapshot().notifications.items[0]?.id;
  await other.chat.loadNotifications();
  expect(first()).toBeUndefined();
  tell("a"); // just before, and not among them yet
  await eventually(() => first() === "a");
  tell("b");
  const told = { conversationId: "room", conversationName: "Room", seq: 1, unreadCount: 1 };
  (await scene.gateway.peer(2)).say({ type: "notification", kind: "mention", ...told });
  await eventually(() => first() === "b");
});

test("what is told while a look is due, and what takes longer, has looks of its own", async () => {
  const other = scene.join({}, { settled: 100 });
  await other.becomes("connected");
  await other.chat.loadNotifications();
  const looks = () => scene.gateway.calls.filter(({ path }) => path === "/notifications").length;
  const before = looks();
  const peer = await scene.gateway.peer(2);
  const told = { conversationId: "room", conversationName: "Room", seq: 1, unreadCount: 1 };
  peer.say({ type: "notification", kind: "mention", ...told });
  await eventually(() => looks() > before);
  peer.say({ type: "notification", kind: "mention", ...told, seq: 2 });
  // One for the second, and one at last; the one at last for the first is put off to that.
  await eventually(() => looks() > before + 2);
  tell("late");
  const first = () => other.chat.getSnapshot().notifications.items[0]?.id;
  peer.say({ type: "notification", kind: "mention", ...told, seq: 3 });
  await eventually(() => first() === "late");
});

test("what was read, here or elsewhere, is read at once", async () => {
  tell("a", { seq: 1 });
  tell("b", { conversationId: "other", seq: 5 });
  await alice.chat.loadNotifications();
  const peer = await scene.gateway.peer(1);
  peer.say({ type: "read_receipt", conversationId: "other", userId: "bob", seq: 9 });
  peer.say({ type: "read_receipt", conversationId: "other", userId: "alice", seq: 4 });
  peer.say({ type: "read_receipt", conversationId: "room", userId: "alice", seq: 1 });
  await eventually(() => list().unreadCount === 1);
  expect(unread()).toEqual(["b"]);
});

test("those of one conversation, or all, are marked as read at once, and it stays so", async () => {
  tell("a");
  tell("b", { conversationId: "other" });
  await alice.chat.loadNotifications();
  const one = alice.chat.readNotifications("other");
  expect(unread()).toEqual(["a"]);
  await one;
  const all = alice.chat.readNotifications();
  expect(list().unreadCount).toBe(0);
  await all;
  await eventually(() => !list().isLoading);
  expect(unread()).toEqual([]);
});

test("a refusal brings them back", async () => {
  tell("a");
  await alice.chat.loadNotifications();
  scene.gateway.refuseRest(({ method }) => (method === "POST" ? { status: 503, code: "UNAVAILABLE" } : null));
  await expect(alice.chat.readNotifications()).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await eventually(() => unread().length === 1);
  expect(list().unreadCount).toBe(1);
});

test("another connection looks again", async () => {
  await alice.chat.loadNotifications();
  tell("a");
  (await scene.gateway.peer(1)).cut();
  await eventually(() => ids()[0] === "a");
});

test("another connection looks again, also for those that could not be asked for before", async () => {
  scene.gateway.refuseRest(() => ({ status: 503, code: "UNAVAILABLE" }));
  await expect(alice.chat.loadNotifications()).rejects.toMatchObject({ code: "UNAVAILABLE" });
  scene.gateway.refuseRest(null);
  tell("a");
  (await scene.gateway.peer(1)).cut();
  await eventually(() => ids()[0] === "a");
  expect(list().failure).toBeNull();
});
