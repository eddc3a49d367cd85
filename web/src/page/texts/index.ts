import { en, type Texts } from "./en.ts";
import { fr } from "./fr.ts";

export type { Texts } from "./en.ts";

const languages: Record<string, Texts> = { en, fr };

/** The first of the wanted languages that we speak. */
export function textsFor(wanted: readonly string[]): Texts {
  const found = wanted.map((tag) => languages[tag.slice(0, 2).toLowerCase()]).find(Boolean);
  return found ?? en;
}

/** How dates are written: as in the first wanted place that speaks this language. */
export function localeFor(wanted: readonly string[], language: string): string {
  return wanted.find((tag) => tag.slice(0, 2).toLowerCase() === language && isKnown(tag)) ?? language;
}

/** Some browsers want what is no language tag, as "en-US@posix". */
function isKnown(tag: string): boolean {
  try {
    return Intl.DateTimeFormat.supportedLocalesOf(tag).length > 0;
  } catch {
    return false;
  }
}

const wanted = typeof navigator === "undefined" ? [] : navigator.languages;

/** The texts in the browser's language. It does not change while the page is open. */
export const texts = textsFor(wanted);
export const locale = localeFor(wanted, texts.language);
