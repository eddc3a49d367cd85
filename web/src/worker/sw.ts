/** The service worker: shows what is pushed while no page is looked at. It keeps nothing and answers no requests of the page. */
import { addressOf, readNotice, type Shown, shownAfter, wordsOf } from "./notice.ts";

declare const self: ServiceWorkerGlobalScope;

/** From the page: this much of a conversation has been read, here or on another device. */
interface Read {
  type: "read";
  conversationId: string;
  seq: number;
}

self.addEventListener("install", () => void self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("push", (event) => event.waitUntil(inTurn(() => show(event.data?.text() ?? ""))));
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data));
});
self.addEventListener("message", (event) => {
  const told: Partial<Read> | null = event.data;
  if (told?.type === "read")
    event.waitUntil(inTurn(() => withdraw(told.conversationId ?? "", told.seq ?? 0)));
});
self.addEventListener("pushsubscriptionchange", (event) => {
  event.waitUntil(renew(event as PushSubscriptionChangeEvent));
});

/**
 * What is shown is looked at and changed by one event at a time: pushes come in bursts when a device wakes up, each
 * counts on the one before, and Chrome forgets notifications whose list is asked for while they are about to be shown.
 */
function inTurn(change: () => Promise<void>): Promise<void> {
  return navigator.locks.request("palabre-notifications", change);
}

async function show(text: string): Promise<void> {
  const notice = readNotice(text);
  if (!notice) return self.registration.showNotification("Palabre", { icon: "/icon.svg", tag: "palabre" });
  // A page that is looked at tells by itself.
  if ((await pages()).some((page) => page.focused)) return;
  const [before] = await self.registration.getNotifications({ tag: notice.conversationId });
  const shown = shownAfter(notice, (before?.data as Shown | undefined) ?? null);
  if (!shown) return;
  const { title, body } = wordsOf(notice, shown.count, self.navigator.languages);
  // In the place of what was shown of this conversation, and heard again. TypeScript's types are behind here.
  const options = {
    body,
    tag: notice.conversationId,
    renotify: true,
    icon: "/icon.svg",
    badge: "/icon.svg",
    data: shown,
    ...(notice.createdAt && { timestamp: notice.createdAt }),
  };
  await self.registration.showNotification(title, options);
}

async function open(shown: Shown | undefined): Promise<void> {
  const address = shown ? addressOf(shown.conversationId) : "/";
  const open = await pages();
  const page =
    open.find((one) => one.focused) ?? open.find((one) => one.visibilityState === "visible") ?? open[0];
  if (!page) {
    await self.clients.openWindow(address);
    return;
  }
  await page.focus().catch(() => page); // only ever allowed for a click, and not by every browser
  // Only what is behind the # differs, so the page is not loaded again.
  await page.navigate(address);
}

async function withdraw(conversationId: string, seq: number): Promise<void> {
  for (const shown of await self.registration.getNotifications({ tag: conversationId }))
    if (((shown.data as Shown | undefined)?.seq ?? 0) <= seq) shown.close();
}

/** Windows of the page, and not of the API's description beside it. */
async function pages(): Promise<readonly WindowClient[]> {
  const all = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  return all.filter((one) => new URL(one.url).pathname === "/");
}

/**
 * The push service has given this browser another address. The old one, which nobody else knows, tells the gateway
 * whose it is; where the browser has forgotten it, the page registers the new one when it is opened next.
 */
async function renew(change: PushSubscriptionChangeEvent): Promise<void> {
  const { oldSubscription } = change;
  const options = oldSubscription?.options;
  const fresh =
    change.newSubscription ??
    (options?.applicationServerKey
      ? await self.registration.pushManager.subscribe({
          userVisibleOnly: true,
          applicationServerKey: options.applicationServerKey,
        })
      : null);
  if (!oldSubscription || !fresh) return;
  const { endpoint, keys } = fresh.toJSON();
  await fetch("/api/push/renewals", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ oldEndpoint: oldSubscription.endpoint, endpoint, keys }),
  });
}
