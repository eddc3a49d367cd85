import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Entry } from "../../src/lib/entry.ts";
import { createOutbox, type Outbox } from "../../src/lib/outbox.ts";

let outbox: Outbox;
let delivered: string[];
let late: number;

beforeEach(() => {
  vi.useFakeTimers();
  delivered = [];
  late = 0;
  outbox = createOutbox({
    deliver: (frame) => delivered.push(frame.tempId ?? "") > 0,
    onChange: () => {},
    onRemove: () => {},
    onLate: () => late++,
    random: () => 1,
  });
});
afterEach(() => {
  vi.useRealTimers();
});

const entry = (tempId: string, order: number, conversationId = "room"): Entry => ({
  tempId,
  conversationId,
  content: tempId,
  attachments: [],
  replyTo: null,
  reply: null,
  mentions: [],
  mentionAll: false,
  createdAt: "2026-01-01T00:00:00.000Z",
  status: "waiting",
  failure: null,
  order,
});
const busy = { code: "UNAVAILABLE", message: "away", retryable: true } as const;

test("one that was kept before goes first, whenever it is found", () => {
  outbox.add(entry("new", 2));
  outbox.add(entry("kept", 1));
  outbox.connected();
  outbox.sent("kept");
  expect(delivered).toEqual(["kept", "new"]);
});

test("without an answer the connection is doubted, then the message repeated", () => {
  outbox.connected();
  outbox.add(entry("a", 1));
  vi.advanceTimersByTime(2900);
  expect(late).toBe(0);
  vi.advanceTimersByTime(200);
  expect(late).toBe(1);
  expect(delivered).toEqual(["a"]);
  vi.advanceTimersByTime(12_000);
  expect(delivered).toEqual(["a", "a"]);
});

test("refusals for now are repeated ever later, up to half a minute", () => {
  outbox.connected();
  outbox.add(entry("a", 1));
  const waits: number[] = [];
  for (let count = 1; count <= 8; count++) {
    outbox.refused("a", busy);
    const from = Date.now();
    while (delivered.length === count) vi.advanceTimersByTime(500);
    waits.push((Date.now() - from) / 1000);
  }
  expect(waits).toEqual([1, 2, 4, 8, 16, 30, 30, 30]);
});

test("after a cut nothing waits for the answers of the old connection", () => {
  outbox.connected();
  outbox.add(entry("a", 1));
  outbox.refused("a", { ...busy, retryAfterMs: 60_000 });
  outbox.disconnected();
  vi.advanceTimersByTime(120_000);
  expect(delivered).toEqual(["a"]);
  expect(outbox.of("room")).toMatchObject([{ status: "waiting" }]);
  outbox.connected();
  expect(delivered).toEqual(["a", "a"]);
});

test("an answer that comes late, or twice, does no harm", () => {
  outbox.connected();
  outbox.add(entry("a", 1));
  outbox.sent("a");
  outbox.refused("a", busy);
  outbox.sent("a");
  outbox.refused("unknown", busy);
  expect(outbox.sent("unknown")).toBeUndefined();
  expect(outbox.of("room")).toMatchObject([{ status: "sent", failure: null }]);
  outbox.discard("a"); // it is stored: there is nothing to discard
  expect(outbox.has("a")).toBe(true);
});

test("what waits behind a discarded one goes on", () => {
  outbox.connected();
  outbox.add(entry("a", 1));
  outbox.add(entry("b", 2));
  outbox.discard("a");
  expect(delivered).toEqual(["a", "b"]);
});

test("what is too long is never sent, wherever it was kept and however often it is tried", () => {
  outbox.connected();
  outbox.add({ ...entry("long", 1), content: "x".repeat(70_000) });
  outbox.retry("long");
  outbox.add(entry("b", 2));
  expect(delivered).toEqual(["b"]);
  expect(outbox.of("room")).toMatchObject([
    { status: "failed", failure: { code: "CONTENT_TOO_LONG" } },
    { status: "sending" },
  ]);
});
