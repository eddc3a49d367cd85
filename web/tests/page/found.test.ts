import { expect, test } from "vitest";
import { partsOf } from "../../src/page/search/found.ts";

const shown = (snippet: string, highlights: [number, number][]) =>
  partsOf(snippet, highlights)
    .map(({ text, isFound }) => (isFound ? `[${text}]` : text))
    .join("");

test("what was found is set apart, in whatever place", () => {
  expect(shown("the bridge is crossed", [[4, 10]])).toBe("the [bridge] is crossed");
  expect(
    shown("walk on, walk", [
      [0, 4],
      [9, 13],
    ]),
  ).toBe("[walk] on, [walk]");
  expect(shown("nothing", [])).toBe("nothing");
});

test("parts that overlap, or are out of the snippet, lose and repeat nothing", () => {
  expect(
    shown("walking", [
      [0, 4],
      [2, 6],
    ]),
  ).toBe("[walk][in]g");
  expect(shown("walk", [[2, 99]])).toBe("wa[lk]");
});
