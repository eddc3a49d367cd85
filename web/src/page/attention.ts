/** Whether somebody looks at the page, or at another page of theirs in this browser. */
import { useEffect, useState } from "react";

export const isAttentive = () => !document.hidden && document.hasFocus();

const MOMENTS = ["focus", "blur", "visibilitychange"] as const;

/** Calls back when the person turns to the page, and when they turn away. */
export function useAttention(onChange: (isAttentive: boolean) => void): void {
  useEffect(() => {
    const changed = () => onChange(isAttentive());
    for (const moment of MOMENTS) {
      window.addEventListener(moment, changed);
      document.addEventListener(moment, changed);
    }
    return () => {
      for (const moment of MOMENTS) {
        window.removeEventListener(moment, changed);
        document.removeEventListener(moment, changed);
      }
    };
  }, [onChange]);
}

export function useIsAttentive(): boolean {
  const [is, set] = useState(isAttentive);
  useAttention(set);
  return is;
}

// ------------------------------------------------------------------------------------------------- other pages

/** Held while a page is looked at: the browser lets go of it with the page, however that ends. */
const lookingAt = (userId: string) => `palabre:${userId}:looking`;
// Only pages from https or this host have locks, and notifications.
const locks = globalThis.navigator?.locks;
/** Milliseconds: a page in the background is slow. */
const WITHIN = 10_000;

/** Lets this person's other pages know while they look at this one. */
export function useSharedAttention(userId: string): void {
  const is = useIsAttentive();
  useEffect(() => {
    if (!is) return;
    let end = () => {};
    const held = new Promise<void>((resolve) => {
      end = resolve;
    });
    locks?.request(lookingAt(userId), { mode: "shared" }, () => held).catch(() => undefined);
    return () => end();
  }, [is, userId]);
}

/** Whether they look at any of their pages. */
export async function isAttentiveAnywhere(userId: string): Promise<boolean> {
  if (isAttentive()) return true;
  const found = await locks?.query().catch(() => null);
  return (found?.held ?? []).some(({ name }) => name === lookingAt(userId));
}

/** Does something that is called so in one of their pages only, when several are about to do it within some seconds. */
export async function inOnePage(name: string, act: () => void): Promise<void> {
  if (!locks) return act();
  await locks.request(name, { ifAvailable: true }, async (lock) => {
    if (!lock) return;
    act();
    await new Promise((resolve) => setTimeout(resolve, WITHIN));
  });
}
