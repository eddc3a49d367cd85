import { texts } from "../texts/index.ts";
import type { Quoted } from "./rows.ts";

const words = texts.messages;

/** What a message replies to; pressing it goes there. */
export function Quote({ quoted, onJump }: { quoted: Quoted; onJump: ((seq: number) => void) | null }) {
  const name = quoted.senderName || words.unknownSender;
  const content = (
    <>
      <span className="block truncate font-semibold text-leaf">
        <bdi>{name}</bdi>
      </span>
      <span className={`block truncate text-ink-soft ${quoted.isDeleted ? "italic" : ""}`}>
        {quoted.isDeleted ? words.deleted : quoted.preview || texts.conversations.attachment}
      </span>
    </>
  );
  const look = "mb-1 block max-w-full border-leaf border-l-3 pl-2.5 text-left text-sm";
  if (!onJump) return <div className={look}>{content}</div>;
  return (
    <button
      type="button"
      title={words.jump}
      onClick={() => onJump(quoted.seq)}
      className={`${look} rounded-r-md hover:bg-hover`}
    >
      {content}
    </button>
  );
}
