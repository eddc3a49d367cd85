import { useEffect, useRef, useState } from "react";
import { plainText } from "../messages/markdown.ts";
import type { Spoken } from "../messages/rows.ts";
import { texts } from "../texts/index.ts";

const LENGTH = 300;

/** Reads new messages of others out. The list itself is silent: it also changes while one scrolls back. */
export function Announcer({ messages, userId }: { messages: readonly Spoken[]; userId: string }) {
  const [said, setSaid] = useState("");
  const last = messages.at(-1);
  const before = useRef(last?.seq ?? null);
  useEffect(() => {
    const previous = before.current;
    before.current = last?.seq ?? previous;
    if (!last?.seq || previous === null || last.seq <= previous || last.senderId === userId) return;
    const name = last.senderName || texts.messages.unknownSender;
    setSaid(texts.conversations.lastFrom(name, plainText(last.content).slice(0, LENGTH)));
  }, [last, userId]);
  return (
    <p aria-live="polite" className="sr-only">
      {said}
    </p>
  );
}
