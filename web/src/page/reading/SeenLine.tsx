import { CheckCheck } from "lucide-react";
import { Avatar } from "../parts/Avatar.tsx";
import { texts } from "../texts/index.ts";
import type { Seen } from "./seen.ts";

const words = texts.reading;
const FACES = 5;

/** Under one's own newest message: that it was seen, and in a group by whom. */
export function SeenLine({ seen, onOpen }: { seen: Seen; onOpen: () => void }) {
  const { people, isDirect } = seen;
  const tick = <CheckCheck aria-hidden="true" className="size-3.5 text-leaf" strokeWidth={2.4} />;
  if (isDirect)
    return (
      <p className="flex items-center justify-end gap-1 px-1.5 pt-1 text-ink-soft text-xs">
        {tick}
        {words.seen}
      </p>
    );
  const more = people.length - FACES;
  return (
    <p className="flex justify-end pt-0.5">
      <button
        type="button"
        title={words.who}
        onClick={onOpen}
        className="flex min-h-7 items-center gap-1.5 rounded-full px-1.5 text-ink-soft text-xs hover:bg-hover max-sm:min-h-9"
      >
        {tick}
        <span className="flex gap-0.5">
          {people.slice(0, FACES).map(({ userId, name }) => (
            <Avatar key={userId} id={userId} name={name ?? ""} size="tiny" />
          ))}
        </span>
        {more > 0 && <span aria-hidden="true">+{more}</span>}
        <span className="sr-only">{summary(people.map(({ name }) => name))}</span>
      </button>
    </p>
  );
}

/** The first names, and how many more. */
function summary(names: readonly (string | null)[]): string {
  const known = names.slice(0, FACES).filter((name) => name !== null);
  return words.seenBy(known, names.length - known.length);
}
