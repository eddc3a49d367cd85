/** What can be done with one message, in the order in which it is offered. */
import {
  Copy,
  type LucideIcon,
  MessagesSquare,
  Pencil,
  Pin,
  PinOff,
  Reply,
  SmilePlus,
  Trash2,
} from "lucide-react";
import { quoteOf } from "../../lib/message.ts";
import { texts } from "../texts/index.ts";
import type { Acts, Row } from "./rows.ts";

const words = texts.messages;

export interface Tool {
  icon: LucideIcon;
  label: string;
  isDangerous?: boolean;
  run: () => void;
}

/** Dialogs that belong to a message. */
export type Asked = "react" | "delete" | "edits" | "sheet";

export function toolsOf({ message, isOwn }: Row, acts: Acts, ask: (asked: Asked) => void): Tool[] {
  if (message.id === null || message.isDeleted) return [];
  const { id } = message;
  const { may, openThread } = acts;
  const tools: Tool[] = [];
  if (may("react")) tools.push({ icon: SmilePlus, label: words.react, run: () => ask("react") });
  if (may("send"))
    tools.push({
      icon: Reply,
      label: words.reply,
      run: () => acts.compose({ kind: "reply", to: quoteOf({ ...message, id, seq: message.seq ?? 0 }) }),
    });
  if (openThread) tools.push({ icon: MessagesSquare, label: words.thread, run: () => openThread(id) });
  // A page that is not from https or this host has no clipboard.
  if (navigator.clipboard && message.content)
    tools.push({ icon: Copy, label: words.copy, run: () => acts.copy(message) });
  if (isOwn && may("edit"))
    tools.push({ icon: Pencil, label: words.edit, run: () => acts.compose({ kind: "edit", message }) });
  if (may("pin")) {
    const isPinned = acts.isPinned(message);
    const label = isPinned ? texts.pins.unpin : texts.pins.pin;
    tools.push({ icon: isPinned ? PinOff : Pin, label, run: () => acts.pin(message, !isPinned) });
  }
  if ((isOwn && may("delete_own")) || may("delete_any"))
    tools.push({ icon: Trash2, label: words.delete, isDangerous: true, run: () => ask("delete") });
  return tools;
}
