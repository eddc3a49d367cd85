import { afterEach, expect, test, vi } from "vitest";
import { inTab, onDevice } from "../../src/lib/webStorage.ts";

afterEach(() => {
  Reflect.deleteProperty(globalThis, "localStorage");
  vi.unstubAllGlobals();
});

function denied(): never {
  throw new DOMException("The operation is insecure.", "SecurityError");
}

test("where the browser denies storage, words are kept for as long as the page is open", () => {
  Object.defineProperty(globalThis, "localStorage", { get: denied, configurable: true });
  expect(onDevice.get("a")).toBeNull();
  onDevice.set("a", "1");
  expect(onDevice.get("a")).toBe("1");
  onDevice.remove("a");
  expect(onDevice.get("a")).toBeNull();
});

test("what the browser takes is there, and what it has no room for counts all the same", () => {
  const kept = new Map([["a", "1"]]);
  let isFull = true;
  vi.stubGlobal("sessionStorage", {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => (isFull ? denied() : kept.set(key, value)),
    removeItem: (key: string) => kept.delete(key),
  });
  expect(inTab.get("a")).toBe("1");
  inTab.set("a", "2");
  expect(inTab.get("a")).toBe("2");
  isFull = false;
  inTab.set("a", "3");
  expect([inTab.get("a"), kept.get("a")]).toEqual(["3", "3"]);
  inTab.remove("a");
  expect([inTab.get("a"), kept.size]).toEqual([null, 0]);
});
