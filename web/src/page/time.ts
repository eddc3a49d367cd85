import { locale, texts } from "./texts/index.ts";

const clock = new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(locale, { weekday: "long" });
const dayOfYear = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long" });
const shortDay = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" });
const fullDay = new Intl.DateTimeFormat(locale, { day: "numeric", month: "long", year: "numeric" });
const exact = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "medium" });

const DAY = 86_400_000;

/** Days between that day and today, as the calendar on the wall counts them. */
export function daysAgo(date: Date, now = new Date()): number {
  const midnight = (moment: Date) => Date.UTC(moment.getFullYear(), moment.getMonth(), moment.getDate());
  return Math.round((midnight(now) - midnight(date)) / DAY);
}

export const timeOf = (date: Date) => clock.format(date);
export const exactTimeOf = (date: Date) => exact.format(date);
export const fullDateOf = (date: Date) => fullDay.format(date);

/** A key that messages of one day share. */
export const dayKey = (date: Date) => `${date.getFullYear()}-${date.getMonth() + 1}-${date.getDate()}`;

/** The heading of a day in the message list. */
export function dayName(date: Date): string {
  const ago = daysAgo(date);
  if (ago === 0) return texts.messages.today;
  if (ago === 1) return texts.messages.yesterday;
  if (ago > 1 && ago < 7) return capital(weekday.format(date));
  return capital(
    date.getFullYear() === new Date().getFullYear() ? dayOfYear.format(date) : fullDay.format(date),
  );
}

/** When a conversation was last spoken in, as short as can be understood. */
export function shortTime(date: Date): string {
  const ago = daysAgo(date);
  if (ago === 0) return timeOf(date);
  if (ago === 1) return texts.messages.yesterday;
  if (ago > 1 && ago < 7) return capital(weekday.format(date));
  return date.getFullYear() === new Date().getFullYear() ? shortDay.format(date) : fullDay.format(date);
}

const capital = (text: string) => text.charAt(0).toLocaleUpperCase(locale) + text.slice(1);
