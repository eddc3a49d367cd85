import { expect, test, vi } from "vitest";
import { localeFor } from "../../src/page/texts/index.ts";

test("dates are written as in the first wanted place of the page's language", () => {
  expect(localeFor(["de-DE", "en-GB", "en-US"], "en")).toBe("en-GB");
  expect(localeFor(["en-US@posix", "en-IE"], "en")).toBe("en-IE");
  expect(localeFor(["de-DE"], "en")).toBe("en");
  expect(localeFor(["en-GB", "fr-CA"], "fr")).toBe("fr-CA");
});

test("so a British reader has the day before the month, and a clock of 24 hours", async () => {
  vi.stubGlobal("navigator", { languages: ["en-GB", "en"] });
  vi.resetModules();
  const { fullDateOf, timeOf } = await import("../../src/page/time.ts");
  const moment = new Date(2026, 0, 31, 13, 5);
  expect(fullDateOf(moment)).toBe("31 January 2026");
  expect(timeOf(moment)).toBe("13:05");
  vi.unstubAllGlobals();
});
