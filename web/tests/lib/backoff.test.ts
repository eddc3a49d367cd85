import { expect, test } from "vitest";
import { delayOf } from "../../src/lib/backoff.ts";

const backoff = { base: 1000, cap: 30_000 };

test("jitter is full: from zero to the bound, and never above it", () => {
  for (let attempt = 0; attempt < 50; attempt++) {
    const bound = Math.min(30_000, 1000 * 2 ** attempt);
    expect(delayOf(attempt, backoff, () => 0)).toBe(0);
    expect(delayOf(attempt, backoff, () => 0.999)).toBeCloseTo(bound * 0.999, 3);
    expect(delayOf(attempt, backoff, () => 0.999)).toBeLessThan(bound);
  }
});

test("a thousand clients spread over the whole time", () => {
  const delays = Array.from({ length: 1000 }, () => delayOf(3, backoff)).sort((one, other) => one - other);
  expect(Math.max(...delays)).toBeLessThanOrEqual(8000);
  const quarters = [0, 2000, 4000, 6000].map(
    (from) => delays.filter((delay) => delay >= from && delay < from + 2000).length,
  );
  for (const count of quarters) expect(count).toBeGreaterThan(150);
});
