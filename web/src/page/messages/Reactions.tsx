import { texts } from "../texts/index.ts";
import type { Acts, Spoken } from "./rows.ts";

/** How people reacted; pressing one puts one's own there, or takes it back. */
export function Reactions({ message, userId, acts }: { message: Spoken; userId: string; acts: Acts }) {
  if (message.reactions.length === 0) return null;
  return (
    <ul aria-label={texts.messages.reactions} className="flex flex-wrap gap-1 px-1 pt-1">
      {message.reactions.map(({ emoji, userIds }) => {
        const isMine = userIds.includes(userId);
        const names = userIds.map((id) => (id === userId ? texts.conversations.you : acts.nameOf(id)));
        return (
          <li key={emoji}>
            <button
              type="button"
              aria-pressed={isMine}
              disabled={!acts.may("react")}
              title={texts.messages.reactedWith(emoji, names.join(", "))}
              onClick={() => acts.react(message, emoji, !isMine)}
              className={`flex min-h-7 items-center gap-1 rounded-full border px-2 text-sm ${isMine ? "border-leaf bg-leaf-soft font-semibold" : "border-line bg-raised hover:border-line-strong"}`}
            >
              {emoji} <span className="text-ink-soft text-xs tabular-nums">{userIds.length}</span>
              <span className="sr-only">{names.join(", ")}</span>
            </button>
          </li>
        );
      })}
    </ul>
  );
}
