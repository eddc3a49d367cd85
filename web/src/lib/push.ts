/** Web Push for this device: asking for it, registering it with the gateway, and taking it back. Needs the page's service worker. */
import { createRest } from "./rest.ts";
import { createTokens } from "./tokens.ts";
import type { ChatOptions } from "./types.ts";
import { onDevice } from "./webStorage.ts";

export type PushState =
  /** This browser cannot, here; on iPhones the page must be on the home screen first. */
  | "unsupported"
  /** This deployment does not push. */
  | "unavailable"
  /** The person has said no to the browser; only they can change that, in its settings. */
  | "denied"
  | "off"
  | "on";

export interface PushChoice {
  /** False tells that there is a new message, and neither from whom nor what. Default true. */
  preview?: boolean;
}

export interface Push {
  /** How it is on this device. On the way, what is on is registered again: call it once on every visit. */
  state(): Promise<PushState>;
  /** Asks the person, so it must be called from their click; registers this device, or changes the choice. */
  subscribe(choice?: PushChoice): Promise<PushState>;
  /** Forgets this device here and there. */
  unsubscribe(): Promise<PushState>;
  /**
   * The same without a look at how it is then. Call it before signing out: a device belongs to who registered it last.
   * Rejects where the gateway could not be told; the browser has let go of it all the same.
   */
  forget(): Promise<void>;
  /** Whether this device is to show from whom and what. */
  hasPreview(): boolean;
  /** Takes back what this device shows of a conversation, up to a message that was read, here or elsewhere. */
  withdraw(conversationId: string, seq: number): void;
}

export interface PushOptions extends Pick<ChatOptions, "getToken"> {
  /** Where `/api` is; this page's own host when left out. */
  restUrl?: string;
  /** Where the service worker is. Default `/sw.js`. */
  worker?: string;
}

const PREVIEW = "palabre-push-preview";

export function createPush(options: PushOptions): Push {
  const { getToken, restUrl = location.origin, worker = "/sw.js" } = options;
  const rest = createRest(restUrl, createTokens(getToken), new AbortController().signal);
  const isSupported = "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;
  const registered = async () =>
    isSupported ? await navigator.serviceWorker.getRegistration(worker) : undefined;

  async function state(): Promise<PushState> {
    if (!isSupported) return "unsupported";
    const { publicKey } = await rest.pushKey();
    if (publicKey === null) return "unavailable";
    if (Notification.permission === "denied") return "denied";
    const registration = await registered();
    const subscription = await registration?.pushManager.getSubscription();
    if (!registration || !subscription) return "off";
    await register(await withKey(registration, subscription, publicKey));
    return "on";
  }

  async function subscribe({ preview = true }: PushChoice = {}): Promise<PushState> {
    if (!isSupported) return "unsupported";
    // First: a browser asks only while the click is fresh.
    if ((await Notification.requestPermission()) !== "granted") return state();
    const { publicKey } = await rest.pushKey();
    if (publicKey === null) return "unavailable";
    await navigator.serviceWorker.register(trusted(worker) as string, { updateViaCache: "none" });
    const registration = await navigator.serviceWorker.ready;
    onDevice.set(PREVIEW, String(preview));
    await register(await withKey(registration, await registration.pushManager.getSubscription(), publicKey));
    return "on";
  }

  async function register(subscription: PushSubscription): Promise<void> {
    const { endpoint, keys } = subscription.toJSON();
    await rest.subscribePush({
      endpoint: endpoint ?? "",
      keys: { p256dh: keys?.p256dh ?? "", auth: keys?.auth ?? "" },
      preview: hasPreview(),
    });
  }

  const hasPreview = () => onDevice.get(PREVIEW) !== "false";

  async function forget(): Promise<void> {
    const subscription = await (await registered())?.pushManager.getSubscription();
    if (!subscription) return;
    try {
      await rest.unsubscribePush({ endpoint: subscription.endpoint });
    } finally {
      // Also where the gateway does not hear of it: its next push is refused, and it forgets the device by itself.
      await subscription.unsubscribe();
    }
  }

  return {
    state,
    subscribe,
    async unsubscribe() {
      await forget();
      return state();
    },
    forget,
    hasPreview,
    withdraw(conversationId, seq) {
      void registered().then((one) => one?.active?.postMessage({ type: "read", conversationId, seq }));
    },
  };
}

/** A subscription is bound to the deployment's key: one with another key would only be refused. */
async function withKey(
  registration: ServiceWorkerRegistration,
  subscription: PushSubscription | null,
  publicKey: string,
): Promise<PushSubscription> {
  const key = bytesOf(publicKey);
  const bound = subscription?.options.applicationServerKey;
  if (subscription && bound && String(new Uint8Array(bound)) === String(key)) return subscription;
  await subscription?.unsubscribe();
  return registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
}

function bytesOf(base64url: string): Uint8Array<ArrayBuffer> {
  const binary = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createScriptURL(url: string): string },
  ): { createScriptURL(url: string): unknown };
}

let policy: ReturnType<TrustedTypes["createPolicy"]> | null = null;

/** The page's policy (`services/gateway/page.py`) lets this one address become a script, by this name. */
function trusted(worker: string): unknown {
  const types = (window as { trustedTypes?: TrustedTypes }).trustedTypes;
  policy ??=
    types?.createPolicy("palabre-worker", {
      createScriptURL(url) {
        if (url !== worker) throw new TypeError("not the service worker");
        return url;
      },
    }) ?? null;
  return policy ? policy.createScriptURL(worker) : worker;
}
