import { Window } from "happy-dom";
import { act } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Toasts } from "../../src/page/notifications/Toasts.tsx";

const page = new Window();
Object.assign(globalThis, {
  window: page,
  document: page.document,
  navigator: page.navigator,
  IS_REACT_ACT_ENVIRONMENT: true,
});
const { createRoot } = await import("react-dom/client");

const LONG = 60_000;
const toast = { id: "1", conversationId: "walk", title: "Bob", body: "on the path" };
const onClose = vi.fn();
let host: HTMLElement;
let unmount: () => void;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onClose.mockReset();
  host = document.createElement("div");
  const root = createRoot(host);
  act(() => root.render(<Toasts toasts={[toast]} items={[]} onClose={onClose} />));
  unmount = () => act(() => root.unmount());
});
afterEach(() => {
  unmount();
  vi.useRealTimers();
});

const happens = (type: string) =>
  act(() => {
    const link = host.querySelector("a") as unknown as InstanceType<typeof page.HTMLElement>;
    link.dispatchEvent(new page.Event(type, { bubbles: true }));
  });
const pass = () => act(() => vi.advanceTimersByTime(LONG));

test("it goes after a while", () => {
  pass();
  expect(onClose).toHaveBeenCalledWith("1");
});

test.each([
  ["pointer", "pointerover", "pointerout"],
  ["focus", "focusin", "focusout"],
])("not while the %s rests on it", (_, begin, end) => {
  happens(begin);
  pass();
  expect(onClose).not.toHaveBeenCalled();
  happens(end);
  pass();
  expect(onClose).toHaveBeenCalledWith("1");
});
