import { X } from "lucide-react";
import type { Composing } from "../messages/rows.ts";
import { IconButton } from "../parts/buttons.tsx";
import { texts } from "../texts/index.ts";

/** What the composer is about, when it is not a message of its own: a reply, or an earlier one that is edited. */
export function ComposingBar({ composing, onEnd }: { composing: Composing; onEnd: () => void }) {
  const [title, content] =
    composing.kind === "edit"
      ? [texts.composer.editing, composing.message.content]
      : [texts.composer.replyingTo(composing.to.senderName || texts.conversations.you), composing.to.preview];
  return (
    <div className="mb-1.5 flex items-center gap-2 rounded-2xl border border-line bg-raised py-1 pr-1 pl-4">
      <p className="min-w-0 flex-1 truncate text-sm">
        <span className="font-semibold text-leaf">{title}</span>{" "}
        <span className="text-ink-soft">{content}</span>
      </p>
      <IconButton icon={X} label={texts.composer.cancel} className="size-9" onClick={onEnd} />
    </div>
  );
}
