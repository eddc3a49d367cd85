import { Hash } from "lucide-react";
import type { CSSProperties } from "react";

type Kind = "person" | "group" | "channel";

const HUES = [20, 48, 78, 110, 150, 185, 225, 262, 300, 340];
const SHAPES: Record<Kind, string> = {
  // People are leaves; what they share has corners.
  person: "rounded-[50%_50%_50%_22%]",
  group: "rounded-[32%]",
  channel: "rounded-[32%]",
};
const SIZES = {
  tiny: "size-4.5 text-[0.5625rem]",
  small: "size-7 text-[0.6875rem]",
  medium: "size-9 text-[0.8125rem]",
  large: "size-11 text-[0.9375rem]",
  huge: "size-20 text-2xl",
};

/** Initials on a colour that belongs to the id. Names are written beside it, so it says nothing to a screen reader. */
export function Avatar(props: { id: string; name: string; kind?: Kind; size?: keyof typeof SIZES }) {
  const { id, name, kind = "person", size = "medium" } = props;
  return (
    <span
      aria-hidden="true"
      style={{ "--hue": hueOf(id) } as CSSProperties}
      className={`avatar grid shrink-0 select-none place-items-center font-semibold leading-none ${SHAPES[kind]} ${SIZES[size]}`}
    >
      {kind === "channel" ? <Hash className="size-[55%]" strokeWidth={2.2} /> : initials(name)}
    </span>
  );
}

export function hueOf(id: string): number {
  let hash = 7;
  for (const character of id) hash = (hash * 31 + character.charCodeAt(0)) >>> 0;
  return HUES[hash % HUES.length] ?? 150;
}

/** The first letters of the first and the last word; a name of one word has one. */
export function initials(name: string): string {
  const words = name.split(/[\s·_.-]+/u).filter((word) => /[\p{L}\p{N}]/u.test(word));
  const letters = [words[0], words.length > 1 ? words.at(-1) : ""].map((word) => firstLetter(word ?? ""));
  return letters.join("").toLocaleUpperCase() || "?";
}

/** As one character, so that nothing that was stacked upon it breaks out of the picture. */
function firstLetter(word: string): string {
  return /[\p{L}\p{N}]/u.exec(word)?.[0] ?? "";
}
