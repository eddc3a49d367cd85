import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { renderingOf } from "../../src/lib/rendering.ts";
import { createStore } from "../../src/lib/store.ts";
import type { Chat } from "../../src/lib/types.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function follow() {
  const store = createStore(0);
  const chat = { subscribe: store.subscribe } as Chat;
  const heard: number[] = [];
  const listen = () => renderingOf(chat)(() => heard.push(store.get()));
  return { store, heard, listen };
}

test("a change is heard of at once, and a burst once at its beginning and once after it", () => {
  const { store, heard, listen } = follow();
  listen();
  store.set(1);
  expect(heard).toEqual([1]);
  for (let value = 2; value <= 100; value++) store.set(value);
  expect(heard).toEqual([1]);
  vi.advanceTimersByTime(20);
  expect(heard).toEqual([1, 100]);
  store.set(101); // too soon after the last time
  vi.advanceTimersByTime(20);
  expect(heard).toEqual([1, 100, 101]);
  vi.advanceTimersByTime(20);
  store.set(102);
  expect(heard).toEqual([1, 100, 101, 102]);
  vi.runAllTimers();
  expect(heard).toHaveLength(4);
});

test("what somebody does is heard of at once, and what follows it as part of a burst", () => {
  class UIEvent {}
  vi.stubGlobal("UIEvent", UIEvent);
  const { store, heard, listen } = follow();
  listen();
  store.set(1);
  vi.stubGlobal("event", new UIEvent());
  store.set(2);
  store.set(3);
  expect(heard).toEqual([1, 2, 3]);
  vi.stubGlobal("event", {}); // a frame comes
  store.set(4);
  store.set(5);
  expect(heard).toEqual([1, 2, 3]);
  vi.runAllTimers();
  expect(heard).toEqual([1, 2, 3, 5]);
});

test("all listeners hear of the same change together, and whoever has gone of none", () => {
  const { store, heard, listen } = follow();
  const [first, second] = [listen(), listen()];
  store.set(1);
  store.set(2);
  first();
  vi.runAllTimers();
  expect(heard).toEqual([1, 1, 2]);
  store.set(3);
  store.set(4);
  second();
  vi.runAllTimers();
  expect(heard).toEqual([1, 1, 2, 3]);
  listen();
  vi.runAllTimers();
  expect(heard).toHaveLength(4); // what nobody followed is read, not told
  store.set(5);
  expect(heard).toEqual([1, 1, 2, 3, 5]);
});
