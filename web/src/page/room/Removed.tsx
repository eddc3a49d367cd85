import { useEffect, useRef } from "react";
import type { GoneReason } from "../../lib/index.ts";
import { Mark } from "../parts/Mark.tsx";
import { texts } from "../texts/index.ts";

/** In the place of a conversation that one is no longer in, or never was. */
export function Removed({ reason }: { reason: GoneReason }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <div role="alert" className="m-auto grid max-w-md justify-items-center gap-3 px-8 text-center">
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
  );
}
