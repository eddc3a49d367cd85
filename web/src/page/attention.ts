/** Whether somebody looks at the page. */
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
