import { Window } from "happy-dom";
import { afterEach, expect, test, vi } from "vitest";
import { type PushDevice, usePush } from "../../src/page/notifications/push.ts";
import type { Session } from "../../src/page/signin/session.ts";
import { eventually } from "../lib/support/eventually.ts";

const page = new Window({ url: "https://chat.example.org/" });
Object.assign(page, { PushManager: class {}, Notification: { permission: "granted" } });
const unsubscribe = vi.fn(async () => true);
const subscription = { endpoint: "https://push.example.org/1", unsubscribe };
const registration = { pushManager: { getSubscription: async () => subscription } };
Object.defineProperty(page.navigator, "serviceWorker", {
  value: { getRegistration: async () => registration },
});
Object.assign(globalThis, {
  window: page,
  document: page.document,
  navigator: page.navigator,
  location: page.location,
  localStorage: page.localStorage,
});
const { createRoot } = await import("react-dom/client");

let unmount: () => void;
afterEach(() => {
  unmount();
  vi.unstubAllGlobals();
});

test("a device is let go of before it is known how it is, and though the gateway cannot be told", async () => {
  const told: string[] = [];
  vi.stubGlobal("fetch", (url: string, { method }: RequestInit) => {
    if (method !== "DELETE") return new Promise(() => {}); // how it is
    told.push(url);
    return Promise.resolve(new Response(null, { status: 503 }));
  });
  let device: PushDevice | undefined;
  const session = { token: async () => "token" } as unknown as Session;
  function Probe() {
    device = usePush(session);
    return null;
  }
  const root = createRoot(document.createElement("div"));
  unmount = () => root.unmount();
  root.render(<Probe />);
  const { forget } = await eventually(() => device);
  await expect(forget()).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect(told).toEqual(["https://chat.example.org/api/push/subscriptions"]);
  expect(unsubscribe).toHaveBeenCalledTimes(1);
});
