import { expect, test } from "vitest";
import { wordsOf } from "../../src/page/audit/changes.ts";
import { en } from "../../src/page/texts/en.ts";
import { fr } from "../../src/page/texts/fr.ts";

const names: Record<string, string> = { a: "Alice", b: "Bob", c: "Carol" };
const said = (entry: object, words = en.audit) =>
  wordsOf({ id: "1", at: "", actorId: "a", action: "", ...entry }, (id) => names[id] ?? id, words);

test.each([
  [{ action: "member_added", userIds: ["b", "c"] }, "Alice added Bob, Carol"],
  [{ action: "member_added", userIds: ["a"] }, "Alice joined"],
  [{ action: "member_removed", userIds: ["b"] }, "Alice removed Bob"],
  [{ action: "member_removed", userIds: ["a"], roles: { b: "admin" } }, "Alice left"],
  [{ action: "role_changed", roles: { b: "admin" } }, "Alice made Bob admin"],
  [{ action: "role_changed", roles: { b: "member" } }, "Alice took the admin role from Bob"],
  [{ action: "name_changed", name: "Walk" }, "Alice named it “Walk”"],
  [{ action: "visibility_changed", public: false }, "Alice made it private"],
  [{ action: "pinned", messageId: "m" }, "Alice pinned a message"],
  [{ action: "from_a_later_version" }, "Alice: from_a_later_version"],
])("%o is %s", (entry, words) => {
  expect(said(entry)).toBe(words);
});

test("French has words for it, too", () => {
  expect(said({ action: "closed" }, fr.audit)).toBe("Alice l’a close");
});
