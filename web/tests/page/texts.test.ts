import { expect, test } from "vitest";
import type { ChatState, StopReason } from "../../src/lib/index.ts";
import { en } from "../../src/page/texts/en.ts";
import { fr } from "../../src/page/texts/fr.ts";
import { texts } from "../../src/page/texts/index.ts";
import { bannerOf, signInAgain } from "../../src/page/view.ts";

const stopped = (reason: Partial<StopReason>) =>
  ({
    connection: { status: "stopped", reason: { code: 1000, reason: "", failure: null, ...reason } },
  }) as ChatState;

test("one is one", () => {
  expect(en.composer.left(1)).toBe("1 character left");
  expect(en.composer.left(0)).toBe("0 characters left");
  expect(en.composer.tooLong(1)).toBe("1 character too many");
  expect(en.composer.tooLong(2)).toBe("2 characters too many");
});

test("what the server closed for good says why, in every language alike", () => {
  expect(bannerOf(stopped({ code: 4503 }))).toEqual({ kind: "ended", code: 4503 });
  expect(en.connection.endedBecause[4503]).toContain("Close some of your tabs");
  expect(Object.keys(fr.connection.endedBecause)).toEqual(Object.keys(en.connection.endedBecause));
});

test("who signed out elsewhere was not refused", () => {
  const failure = { code: "NO_TOKEN", message: "Signed out in another tab.", retryable: false } as const;
  expect(signInAgain(stopped({ failure }))).toBe(texts.signIn.ended);
  expect(signInAgain(stopped({ code: 4500 }))).toBe(texts.signIn.refused);
  expect(signInAgain(stopped({ code: 4503 }))).toBeNull();
});
