/** What is shown for a push: its words, and what comes twice or late. */
import { expect, test } from "vitest";
import { addressOf, type Notice, readNotice, shownAfter, wordsOf } from "../../src/worker/notice.ts";

const notice: Notice = {
  id: "c1:7",
  kind: "message",
  conversationId: "c1",
  seq: 7,
  conversationName: "Team",
  senderName: "Alice",
  preview: "hello",
};
const bare: Notice = { id: "c1:7", kind: "message", conversationId: "c1", seq: 7 };

test.each([
  [notice, "en", "Alice in Team", "hello"],
  [notice, "fr-CA", "Alice dans Team", "hello"],
  [{ ...notice, conversationName: null }, "en", "Alice", "hello"],
  [{ ...notice, kind: "mention" as const }, "en", "Alice mentioned you in Team", "hello"],
  [{ ...notice, kind: "mention" as const, conversationName: null }, "fr", "Alice vous a mentionné", "hello"],
  [
    { ...notice, kind: "added" as const, senderName: null, preview: null },
    "en",
    "You were added to Team",
    "",
  ],
  [{ ...notice, preview: null }, "en", "Alice in Team", "New message"],
  [bare, "en", "Palabre", "New message"],
  [bare, "fr", "Palabre", "Nouveau message"],
  [bare, "ja", "Palabre", "New message"],
])("%o in %s", (pushed, language, title, body) => {
  expect(wordsOf(pushed, 1, [language])).toEqual({ title, body });
});

test("several messages of a conversation are one notification that counts them", () => {
  const first = shownAfter(notice, null);
  const second = shownAfter({ ...notice, id: "c1:8", seq: 8 }, first);
  expect(second).toEqual({ id: "c1:8", conversationId: "c1", seq: 8, count: 2 });
  expect(wordsOf(notice, 3, ["en"]).body).toBe("hello\nand 2 more");
});

test("one that stands for several counts them all", () => {
  const shown = shownAfter({ ...notice, id: "c1:9", seq: 9, count: 3 }, shownAfter(notice, null));
  expect(shown?.count).toBe(4);
});

test("what comes twice, or after a newer one, changes nothing", () => {
  const shown = shownAfter(notice, null);
  expect(shownAfter(notice, shown)).toBeNull();
  expect(shownAfter({ ...notice, id: "c1:6", seq: 6 }, shown)).toBeNull();
});

test("being added has no number, and is counted all the same", () => {
  const added: Notice = { id: "x", kind: "added", conversationId: "c1", seq: null };
  expect(shownAfter(added, shownAfter(notice, null))).toMatchObject({ seq: 7, count: 2 });
});

test.each(["", "{", "null", "7", '{"id":"x"}', '{"id":1,"conversationId":"c"}'])(
  "%o is no notice",
  (text) => {
    expect(readNotice(text)).toBeNull();
  },
);

test("an address is one whatever the id holds", () => {
  expect(addressOf("a/b#c")).toBe("/#/c/a%2Fb%23c");
});
