import { useEffect, useRef } from "react";
import type { GoneReason } from "../../lib/index.ts";
import type { Spoken } from "../messages/rows.ts";
import { Button } from "../parts/buttons.tsx";
import { Mark } from "../parts/Mark.tsx";
import { texts } from "../texts/index.ts";

interface Props {
  reason: GoneReason;
  /** What one had written there, and nobody will ever be sent. */
  unsent: readonly Spoken[];
  onDiscard: (key: string) => void;
}

/** In the place of a conversation that one is no longer in, or never was. */
export default function Removed({ reason, unsent, onDiscard }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <div className="flex min-w-0 flex-1 overflow-y-auto">
      <div className="m-auto grid w-full max-w-md gap-8 px-8 py-6">
        <div role="alert" className="grid justify-items-center gap-3 text-center">
          <Mark className="size-14 text-line-strong" />
          <h1 ref={heading} tabIndex={-1} className="font-display text-2xl leading-tight outline-none">
            {reason === "not_found" ? texts.removed.unknown : texts.removed.title}
          </h1>
          <p className="text-ink-soft">{texts.removed.hint[reason]}</p>
          <a
            href="#/"
            className="mt-2 inline-flex min-h-10 items-center rounded-full bg-leaf px-5 font-semibold text-on-leaf hover:bg-leaf-strong"
          >
            {texts.removed.close}
          </a>
        </div>
        {unsent.length > 0 && <Unsent messages={unsent} onDiscard={onDiscard} />}
      </div>
    </div>
  );
}

function Unsent({ messages, onDiscard }: { messages: readonly Spoken[]; onDiscard: Props["onDiscard"] }) {
  return (
    <section aria-label={texts.removed.unsent} className="grid gap-2">
      <h2 className="font-semibold text-danger text-sm">{texts.removed.unsent}</h2>
      <ul className="grid gap-2">
        {messages.map(({ key, content }) => (
          <li key={key} className="grid gap-2 rounded-2xl border border-line bg-raised p-3">
            <p dir="auto" className="whitespace-pre-wrap [overflow-wrap:anywhere]">
              {content}
            </p>
            <span className="flex justify-end gap-2">
              {/* A page that is not from https or this host has no clipboard. */}
              {navigator.clipboard && (
                <Button onClick={() => void navigator.clipboard.writeText(content).catch(() => undefined)}>
                  {texts.messages.copy}
                </Button>
              )}
              <Button look="danger" onClick={() => onDiscard(key)}>
                {texts.messages.discard}
              </Button>
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
