import { createContext, useContext } from "react";
import { EVERYBODY, splitMentions } from "../composer/mentions.ts";
import type { Spoken } from "./rows.ts";

/** The names that a message mentions, in lower case; `isMe` marks this person's. */
type Mentioned = ReadonlyMap<string, { isMe: boolean }>;

const NOBODY: Mentioned = new Map();
const Context = createContext(NOBODY);
export const MentionedProvider = Context.Provider;

export function mentioned(
  { mentions, mentionAll }: Spoken,
  userId: string,
  nameOf: (userId: string) => string,
): Mentioned {
  if (!mentions.length && !mentionAll) return NOBODY;
  const names = new Map(mentions.map((id) => [nameOf(id).toLocaleLowerCase(), { isMe: id === userId }]));
  if (mentionAll) for (const word of EVERYBODY) names.set(word, { isMe: true });
  return names;
}

/** A text in which those whom its message mentions are marked. */
export function MentionedText({ text }: { text: string }) {
  const names = useContext(Context);
  if (!names.size) return text;
  return splitMentions(text, [...names.keys()]).map((part, place) => {
    if (part.name === null) return part.text;
    const look = names.get(part.name)?.isMe ? "bg-earth-soft text-earth" : "bg-leaf-soft text-leaf";
    return (
      // biome-ignore lint/suspicious/noArrayIndexKey: the parts of a text never change
      <span key={place} className={`mention rounded-md px-1 font-semibold ${look}`}>
        {part.text}
      </span>
    );
  });
}
