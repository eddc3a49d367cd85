import { onDevice } from "../lib/webStorage.ts";

/** Light or dark: as the device says, unless this person has chosen. */
export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const KEY = "palabre.theme";

export function chosenTheme(): Theme {
  const kept = onDevice.get(KEY);
  return THEMES.find((theme) => theme === kept) ?? "system";
}

export function applyTheme(theme: Theme): void {
  if (theme === "system") {
    onDevice.remove(KEY);
    delete document.documentElement.dataset.theme;
  } else {
    onDevice.set(KEY, theme);
    document.documentElement.dataset.theme = theme;
  }
}
