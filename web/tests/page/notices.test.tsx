import { Window } from "happy-dom";
import { act } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Chat, ChatEvent, NotificationLevel } from "../../src/lib/index.ts";
import { useNotices } from "../../src/page/notifications/notices.ts";
import { Toasts } from "../../src/page/notifications/Toasts.tsx";

const page = new Window();
Object.assign(globalThis, {
  window: page,
  document: page.document,
  navigator: page.navigator,
  IS_REACT_ACT_ENVIRONMENT: true,
});
const { createRoot } = await import("react-dom/client");

let tell: (event: ChatEvent) => void;
let look: (openId: string | null) => void;
let host: HTMLElement;
let unmount: () => void;

/** Of what one is told in the conversation that is open, and in general. */
const levels: { own: NotificationLevel | null; general: NotificationLevel } = { own: null, general: "all" };
let shown: string[];
class Device {
  static permission = "granted";
  constructor(_: string, { body }: { body: string }) {
    shown.push(body);
  }
  close() {}
}
Object.assign(page, { Notification: Device });
Object.assign(globalThis, { Notification: Device });
document.hasFocus = () => false;

/** As much of a chat as tells something. */
const chat = {
  listen(listener: typeof tell) {
    tell = (event) => act(() => listener(event));
    return () => {};
  },
  getSnapshot: () => ({ conversations: { items: [] } }),
  loadNotificationLevel: async () => levels.own,
  loadNotificationSettings: async () => ({ level: levels.general, doNotDisturb: null }),
} as unknown as Chat;

function Told({ openId }: { openId: string | null }) {
  return useNotices(chat, "alice", openId).toasts.map(({ id, body }) => <p key={id}>{body}</p>);
}

beforeEach(() => {
  shown = [];
  host = document.createElement("div");
  const root = createRoot(host);
  look = (openId) => act(() => root.render(<Told openId={openId} />));
  unmount = () => act(() => root.unmount());
  look(null);
});
afterEach(() => {
  vi.useRealTimers();
  unmount();
});

const said = (conversationId: string, preview: string): ChatEvent => ({
  type: "notification",
  notification: {
    type: "notification",
    timestamp: "2026-11-27T12:00:00.000Z",
    kind: "message",
    conversationId,
    conversationName: conversationId,
    preview,
    unreadCount: 1,
  },
});

test("what was told of a conversation is gone once that was looked at", () => {
  tell(said("walk", "on the path"));
  tell(said("other", "elsewhere"));
  expect(host.textContent).toBe("on the pathelsewhere");
  look("walk");
  expect(host.textContent).toBe("elsewhere");
  look(null);
  expect(host.textContent).toBe("elsewhere");
});

test("what comes of one that is being looked at is not told later either", () => {
  look("walk");
  tell(said("walk", "on the path"));
  look(null);
  expect(host.textContent).toBe("");
});

test("what failed is told wherever one looks", () => {
  look("walk");
  const failure = { code: "FORBIDDEN", message: "no", retryable: false } as const;
  tell({ type: "change_failed", conversationId: "walk", messageId: "1", change: "edit", failure });
  look("other");
  look("walk");
  expect(host.childElementCount).toBe(1);
});

const refused = (conversationId: string): ChatEvent => ({
  type: "send_failed",
  outgoing: {
    tempId: "1",
    conversationId,
    content: "hello",
    attachments: [],
    replyTo: null,
    reply: null,
    mentions: [],
    mentionAll: false,
    createdAt: "2026-11-27T12:00:00.000Z",
    status: "failed",
    failure: { code: "NOT_A_MEMBER", message: "no", retryable: false },
  },
});

test("what could not be sent is told until one looks there, whatever comes after it", () => {
  tell(refused("walk"));
  for (const id of ["walk", "one", "two", "three", "four"]) tell(said(id, id));
  const notSent = "Not sent: you are not in this conversation.";
  expect(host.textContent).toBe(`${notSent}twothreefour`);
  look("walk");
  expect(host.textContent).toBe("twothreefour");
  tell(refused("walk"));
  look(null);
  expect(host.textContent).toBe("twothreefour");
});

test("what lasts is closed by nobody but the person", () => {
  vi.useFakeTimers();
  const onClose = vi.fn();
  const toast = { conversationId: "walk", title: null, body: "" };
  const toasts = [
    { ...toast, id: "passes" },
    { ...toast, id: "lasts", isLasting: true },
  ];
  const root = createRoot(document.createElement("div"));
  act(() => root.render(<Toasts toasts={toasts} items={[]} onClose={onClose} />));
  act(() => vi.advanceTimersByTime(60_000));
  expect(onClose.mock.calls).toEqual([["passes"]]);
  act(() => root.unmount());
});

const wrote = (content: string, mentions: string[] = []): ChatEvent => ({
  type: "message",
  isReplay: false,
  message: {
    id: content,
    conversationId: "walk",
    seq: 1,
    senderId: "bob",
    senderName: "Bob",
    senderAvatar: null,
    content,
    createdAt: "2026-11-27T12:00:00.000Z",
    mentions,
  },
});

test.each([
  [null, "all", ["psst", "you"]],
  [null, "mentions", ["you"]],
  ["all", "nothing", ["psst", "you"]],
  ["mentions", "all", ["you"]],
  ["nothing", "all", []],
] as const)(
  "with %s for what is open, and %s in general, the device tells %s",
  async (own, general, told) => {
    Object.assign(levels, { own, general });
    look("walk");
    tell(wrote("psst"));
    tell(wrote("you", ["alice"]));
    await act(async () => {});
    expect(shown).toEqual(told);
  },
);

test("whoever looked may have chosen otherwise", async () => {
  Object.assign(levels, { own: "nothing" });
  look("walk");
  tell(wrote("psst"));
  await act(async () => {});
  Object.assign(levels, { own: "all" });
  act(() => void page.dispatchEvent(new page.Event("focus")));
  tell(wrote("hello"));
  await act(async () => {});
  expect(shown).toEqual(["hello"]);
});
