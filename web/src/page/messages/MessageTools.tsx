import { type KeyboardEvent, useRef, useState } from "react";
import { IconButton } from "../parts/buttons.tsx";
import { texts } from "../texts/index.ts";
import type { Tool } from "./tools.ts";

interface Props {
  tools: Tool[];
  /** On which side it stands. */
  isOwn: boolean;
}

/** Over a message, with the pointer there or the focus inside: a toolbar, so one stop of the Tab key for each message. */
export function MessageTools({ tools, isOwn }: Props) {
  const [active, setActive] = useState(0);
  const whole = useRef<HTMLDivElement>(null);
  const keyDown = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = (active + step + tools.length) % tools.length;
    setActive(next);
    whole.current?.querySelectorAll("button")[next]?.focus();
  };
  return (
    <div
      ref={whole}
      role="toolbar"
      aria-label={texts.messages.tools}
      onKeyDown={keyDown}
      className={`pointer-events-none absolute bottom-full z-10 -mb-3 flex rounded-full border border-line bg-raised opacity-0 shadow-(--shadow-lift) transition-opacity focus-within:pointer-events-auto focus-within:opacity-100 group-hover:pointer-events-auto group-hover:opacity-100 ${isOwn ? "right-2" : "left-2"}`}
    >
      {tools.map(({ icon, label, isDangerous, run }, place) => (
        <IconButton
          key={label}
          icon={icon}
          label={label}
          tabIndex={place === Math.min(active, tools.length - 1) ? 0 : -1}
          onFocus={() => setActive(place)}
          onClick={run}
          className={`size-9 ${isDangerous ? "hover:text-danger" : ""}`}
        />
      ))}
    </div>
  );
}
