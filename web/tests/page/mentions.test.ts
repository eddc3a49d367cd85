import { expect, test } from "vitest";
import {
  ALL,
  begunAt,
  candidates,
  mentionsIn,
  splitMentions,
  wordsBegun,
} from "../../src/page/composer/mentions.ts";

const anna = { userId: "u1", userName: "Anna" };
const annaMaria = { userId: "u2", userName: "Anna Maria Müller" };
const bob = { userId: "u3", userName: "Bob (sales)" };
const members = [anna, annaMaria, bob];
const people = { members, mayMentionAll: false };
const nobody = new Map<string, string>();

test.each([
  ["hello @an", { start: 6, query: "an" }],
  ["@", { start: 0, query: "" }],
  ["(@anna maria", { start: 1, query: "anna maria" }],
  ["line\n@b", { start: 5, query: "b" }],
  ["me@example.org", null],
  ["@anna maria and then some", null],
  ["no name", null],
])("what is begun in %j", (text, begun) => {
  expect(begunAt(text, text.length)).toEqual(begun);
});

test.each([
  ["@anna maria, and (@bob", ["anna", "bob"]],
  ["@Zoé, @Zoé!", ["Zoé"]],
  ["me@example.org @", []],
])("the words with which names begin in %j", (text, words) => {
  expect(wordsBegun(text)).toEqual(words);
});

test("names are found by the beginning of any word, without case and accents", () => {
  const found = (query: string) => candidates(query, people).map(({ userId }) => userId);
  expect(found("")).toEqual(["u1", "u2", "u3"]);
  expect(found("ANN")).toEqual(["u1", "u2"]);
  expect(found("mull")).toEqual(["u2"]);
  expect(found("x")).toEqual([]);
  const asAdmin = candidates("al", { members, mayMentionAll: true });
  expect(asAdmin.map(({ userId }) => userId)).toEqual([ALL]);
});

test("whom a text mentions: the longest name that is there, each once", () => {
  const mentions = (text: string) => mentionsIn(text, people, nobody).mentions;
  expect(mentions("@Anna Maria Müller, and @bob (Sales)!")).toEqual(["u2", "u3"]);
  expect(mentions("@Anna, @anna")).toEqual(["u1"]);
  expect(mentions("@Annabelle and me@Anna")).toEqual([]);
});

test("a name may have any sign in it", () => {
  const others = ["Jean-Luc", "Tim O/Neil", "A.B", "c^$*+?|\\d", "[x]{2}"].map((userName) => ({
    userId: userName,
    userName,
  }));
  const text = others.map(({ userName }) => `@${userName}`).join(" ");
  const { mentions } = mentionsIn(text, { members: others, mayMentionAll: false }, nobody);
  expect(mentions).toEqual(others.map(({ userId }) => userId));
});

test("of two with one name the one that was picked is meant", () => {
  const twins = { members: [anna, { userId: "u9", userName: "Anna" }], mayMentionAll: false };
  expect(mentionsIn("@Anna", twins, new Map([["Anna", "u1"]])).mentions).toEqual(["u1"]);
});

test("everybody is mentioned by those who may", () => {
  expect(mentionsIn("@all", people, nobody).mentionAll).toBe(false);
  const asAdmin = { members, mayMentionAll: true };
  expect(mentionsIn("hey @tous !", asAdmin, nobody)).toEqual({ mentions: [], mentionAll: true });
  expect(mentionsIn("@allen", asAdmin, nobody).mentionAll).toBe(false);
});

test("the parts of a text are the text", () => {
  const text = "@Anna: hello, @Anna Maria Müller @x";
  const parts = splitMentions(text, ["anna", "anna maria müller"]);
  expect(parts.map((part) => part.text).join("")).toBe(text);
  expect(parts.flatMap(({ name }) => name ?? [])).toEqual(["anna", "anna maria müller"]);
});
