import { useCallback, useState } from "react";
import { isAttentive } from "../attention.ts";

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

/** A notification of the device, while the page is not being looked at. */
export function notifyDevice(notice: { title: string; body: string; tag: string; onOpen: () => void }): void {
  if (isAttentive() || current() !== "granted") return;
  try {
    const { title, body, tag } = notice;
    // In the place of what was shown with this tag, and heard again. TypeScript's types are behind here.
    const options = { body, tag, renotify: true, icon: "/icon.svg" };
    const shown = new Notification(title, options);
    shown.onclick = () => {
      window.focus();
      notice.onOpen();
      shown.close();
    };
  } catch {
    // Some phones let only a service worker notify: the count in the title is what remains.
  }
}
