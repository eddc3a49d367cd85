/** `@name` in what is being written: whom it means, and what could be meant. */
import { foldedForSearch } from "../conversations/names.ts";
import { texts } from "../texts/index.ts";

export interface Mentionable {
  userId: string;
  userName: string;
}

/** Everybody there can be mentioned by name, and by some all of them at once. */
export interface People {
  readonly members: readonly Mentionable[];
  readonly mayMentionAll: boolean;
  /** Finds those whom such words may mean and who are not among the members yet; null where all are. */
  readonly look?: ((words: readonly string[]) => void) | null;
}

export interface Mentions {
  mentions: string[];
  mentionAll: boolean;
}

/** What an editor in any of our languages inserts for everybody. */
export const EVERYBODY = ["all", "tous"];
/** In place of a user id. */
export const ALL = "*";
const SHOWN = 6;
const LONGEST = 40;
const NAMED = 50; // as many as the gateway takes
const LOOKED_FOR = 8; // in one text: more of them are no names

/** The name that is begun right before the caret, from its `@` on; null where none is. */
export function begunAt(text: string, caret: number): { start: number; query: string } | null {
  const before = text.slice(Math.max(0, caret - LONGEST), caret);
  const found = /(?:^|[\s(])@([^\s@]*(?: [^\s@]+){0,2})$/u.exec(before);
  if (!found) return null;
  const query = found[1] ?? "";
  return { start: caret - query.length - 1, query };
}

/** The words with which the names in a text begin, each once: what was typed, pasted, or kept as a draft. */
export function wordsBegun(text: string): string[] {
  const found = text.matchAll(/(?<![\p{L}\p{N}])@([\p{L}\p{M}\p{N}_]+)/gu);
  return [...new Set([...found].map(([, word = ""]) => word))].slice(-LOOKED_FOR);
}

/** Who may be meant by what is begun: whose name, or a word of it, begins so. */
export function candidates(query: string, { members, mayMentionAll }: People): Mentionable[] {
  const wanted = foldedForSearch(query);
  const everybody = { userId: ALL, userName: texts.mentions.everybody };
  const all = mayMentionAll ? [...members, everybody] : members;
  const isMeant = ({ userName }: Mentionable) => {
    const name = foldedForSearch(userName);
    return name.startsWith(wanted) || name.split(/[\s·_.-]+/u).some((word) => word.startsWith(wanted));
  };
  return all.filter(isMeant).slice(0, SHOWN);
}

/** Whom a text mentions. `picked`: who was chosen from those of one name. */
export function mentionsIn(text: string, people: People, picked: ReadonlyMap<string, string>): Mentions {
  const ids = new Map(people.members.map(({ userId, userName }) => [userName.toLocaleLowerCase(), userId]));
  for (const [name, userId] of picked) ids.set(name.toLocaleLowerCase(), userId);
  const words = splitMentions(text, [...ids.keys(), ...EVERYBODY]).flatMap((part) =>
    part.name === null ? [] : [part.name],
  );
  const mentions = [...new Set(words.flatMap((word) => ids.get(word) ?? []))].slice(0, NAMED);
  return { mentions, mentionAll: people.mayMentionAll && words.some((word) => EVERYBODY.includes(word)) };
}

export interface Part {
  text: string;
  /** In lower case, where it mentions somebody of that name. */
  name: string | null;
}

/** A text in parts: those that mention one of these names, and what is between them. */
export function splitMentions(text: string, names: readonly string[]): Part[] {
  if (!text.includes("@") || !names.length) return [{ text, name: null }];
  const longestFirst = [...names].filter(Boolean).sort((one, other) => other.length - one.length);
  const pattern = new RegExp(
    `(?<![\\p{L}\\p{N}])@(${longestFirst.map(escaped).join("|")})(?![\\p{L}\\p{N}])`,
    "giu",
  );
  const parts: Part[] = [];
  let at = 0;
  for (const found of text.matchAll(pattern)) {
    if (found.index > at) parts.push({ text: text.slice(at, found.index), name: null });
    parts.push({ text: found[0], name: (found[1] ?? "").toLocaleLowerCase() });
    at = found.index + found[0].length;
  }
  if (at < text.length) parts.push({ text: text.slice(at), name: null });
  return parts;
}

const escaped = (name: string) => name.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
