import { en, type Texts } from "./en.ts";
import { fr } from "./fr.ts";

export type { Texts } from "./en.ts";

const languages: Record<string, Texts> = { en, fr };

/** The first of the wanted languages that we speak. */
export function textsFor(wanted: readonly string[]): Texts {
  const found = wanted.map((tag) => languages[tag.slice(0, 2).toLowerCase()]).find(Boolean);
  return found ?? en;
}

/** The texts in the browser's language. It does not change while the page is open. */
export const texts = textsFor(typeof navigator === "undefined" ? [] : navigator.languages);
