import { Window } from "happy-dom";
import { act } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { When } from "../../src/page/parts/When.tsx";
import { texts } from "../../src/page/texts/index.ts";
import { shortTime, timeOf } from "../../src/page/time.ts";

const page = new Window();
Object.assign(globalThis, {
  window: page,
  document: page.document,
  navigator: page.navigator,
  IS_REACT_ACT_ENVIRONMENT: true,
});
const { createRoot } = await import("react-dom/client");

const AT = new Date(2026, 10, 27, 23, 0);
let host: HTMLElement;
let unmount: () => void;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  vi.setSystemTime(new Date(2026, 10, 27, 23, 59, 30));
  host = document.createElement("div");
  const root = createRoot(host);
  act(() => root.render(<When at={AT} className="" />));
  unmount = () => act(() => root.unmount());
});
afterEach(() => {
  unmount();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

test("what was today is yesterday after midnight, and a day of the week after the next one", () => {
  expect(host.textContent).toBe(timeOf(AT));
  act(() => vi.advanceTimersByTime(60_000));
  expect(host.textContent).toBe(texts.messages.yesterday);
  act(() => vi.advanceTimersByTime(24 * 3_600_000));
  expect(host.textContent).not.toBe(texts.messages.yesterday);
  expect(host.textContent).toBe(shortTime(AT));
});

test("a device that slept through midnight sees it when it is looked at", () => {
  vi.setSystemTime(new Date(2026, 10, 28, 8, 0));
  act(() => void page.document.dispatchEvent(new page.Event("visibilitychange")));
  expect(host.textContent).toBe(texts.messages.yesterday);
});
