import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createOthersTyping, createOwnTyping, type OwnTyping } from "../../src/lib/typing.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("one's own", () => {
  let told: string[];
  let typing: OwnTyping;
  beforeEach(() => {
    told = [];
    typing = createOwnTyping((id, isTyping) => told.push(`${isTyping ? "start" : "stop"} ${id}`));
  });

  test("is renewed every three seconds while keys are struck", () => {
    for (let time = 0; time < 10_000; time += 100) {
      typing.start("room");
      vi.advanceTimersByTime(100);
    }
    expect(told).toEqual(Array(4).fill("start room"));
  });

  test("ends six seconds after the last key", () => {
    typing.start("room");
    vi.advanceTimersByTime(5900);
    typing.start("room");
    vi.advanceTimersByTime(5900);
    expect(told).toEqual(["start room", "start room"]);
    vi.advanceTimersByTime(200);
    expect(told.at(-1)).toBe("stop room");
  });

  test("is stopped once, and only where it began", () => {
    typing.stop("room");
    typing.start("room");
    typing.stop("room");
    typing.stop("room");
    vi.advanceTimersByTime(60_000);
    expect(told).toEqual(["start room", "stop room"]);
    typing.start("room");
    expect(told.at(-1)).toBe("start room");
  });

  test("is of each conversation for itself, and forgotten with the connection", () => {
    typing.start("room");
    typing.start("other");
    typing.forget();
    vi.advanceTimersByTime(60_000);
    expect(told).toEqual(["start room", "start other"]);
  });
});

describe("others'", () => {
  test("expires when nobody says that it ended, and later with every renewal", () => {
    const expired: string[] = [];
    const typing = createOthersTyping((_, userId) => expired.push(userId));
    typing.started("room", "bob");
    vi.advanceTimersByTime(10_000);
    typing.started("room", "bob");
    vi.advanceTimersByTime(10_000);
    expect(expired).toEqual([]);
    vi.advanceTimersByTime(3000);
    expect(expired).toEqual(["bob"]);
  });

  test("that has ended does not expire", () => {
    const expired: string[] = [];
    const typing = createOthersTyping((_, userId) => expired.push(userId));
    typing.started("room", "bob");
    expect(typing.stopped("room", "bob")).toBe(true);
    expect(typing.stopped("room", "bob")).toBe(false);
    typing.started("room", "carol");
    typing.forget();
    vi.advanceTimersByTime(60_000);
    expect(expired).toEqual([]);
  });
});
