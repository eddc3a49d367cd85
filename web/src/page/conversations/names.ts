/** What a conversation is called by one of its members. */
import type { Texts } from "../texts/index.ts";

export interface Named {
  id: string;
  type: "direct" | "group" | "channel";
  name: string | null;
  members: readonly { userId: string; userName: string }[];
}

export function titleOf(conversation: Named, userId: string, words: Texts["conversations"]): string {
  if (conversation.name) return conversation.name;
  const others = conversation.members
    .filter((member) => member.userId !== userId)
    .map((member) => member.userName);
  if (others.length) return others.join(", ");
  return conversation.members.length ? words.onlyYou : words.unnamed;
}

/** Whose colour it has: that of the other person, where there is one other person. */
export function faceOf(conversation: Named, userId: string) {
  if (conversation.type !== "direct") return { id: conversation.id, kind: conversation.type } as const;
  const other = conversation.members.find((member) => member.userId !== userId);
  return { id: other?.userId ?? conversation.id, kind: "person" } as const;
}

/** Without case and accents, so that "helene" finds "Hélène". */
export const foldedForSearch = (text: string) =>
  text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase().trim();
