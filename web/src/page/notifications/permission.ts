import { useCallback, useState } from "react";
import { inOnePage, isAttentiveAnywhere } from "../attention.ts";

type Permission = NotificationPermission | "unsupported";

const current = (): Permission => ("Notification" in window ? Notification.permission : "unsupported");

/** Whether the browser lets us notify, and how to ask: only ever when the person presses a button. */
export function useNotificationPermission() {
  const [permission, setPermission] = useState(current);
  const ask = useCallback(() => {
    void Notification.requestPermission().then(setPermission);
  }, []);
  return { permission, ask };
}

interface Notice {
  title: string;
  body: string;
  /** What it takes the place of, and is heard again. */
  conversationId: string;
  /** Up to which message it tells. */
  seq: number;
  onOpen: () => void;
}

/** By conversation: what the device shows of it, as far as this page has told. */
const shown = new Map<string, { notification: Notification; seq: number }>();

/** A notification of the device, while its person looks at no page; where they have several, one of them tells. */
export async function notifyDevice(userId: string, notice: Notice): Promise<void> {
  if (current() !== "granted" || (await isAttentiveAnywhere(userId))) return;
  await inOnePage(`palabre:${userId}:told:${notice.conversationId}:${notice.seq}`, () => show(notice));
}

function show({ title, body, conversationId, seq, onOpen }: Notice): void {
  // TypeScript's types are behind here.
  const options = { body, tag: conversationId, renotify: true, icon: "/icon.svg" };
  try {
    const notification = new Notification(title, options);
    shown.set(conversationId, { notification, seq });
    notification.onclick = () => {
      window.focus();
      onOpen();
      notification.close();
    };
  } catch {
    // Some phones let only a service worker notify: the count in the title is what remains.
  }
}

/** What was read is not shown any more, where this page has told of it. */
export function withdrawNotice(conversationId: string, seq: number): void {
  const last = shown.get(conversationId);
  if (!last || last.seq > seq) return;
  last.notification.close();
  shown.delete(conversationId);
}
