import { AtSign } from "lucide-react";
import { Avatar } from "../parts/Avatar.tsx";
import { texts } from "../texts/index.ts";
import { ALL, type Mentionable } from "./mentions.ts";

interface Props {
  id: string;
  people: Mentionable[];
  /** The place of the one that Enter takes. */
  current: number;
  onPick: (person: Mentionable) => void;
}

/** Who may be meant, above what is being written; the field keeps the focus. */
export function MentionList({ id, people, current, onPick }: Props) {
  return (
    <div
      id={id}
      role="listbox"
      aria-label={texts.mentions.list}
      className="absolute bottom-full left-4 z-20 mb-1 w-72 max-w-[calc(100%-2rem)] animate-[rise_140ms_ease-out] rounded-2xl border border-line bg-raised p-1.5 shadow-(--shadow-float)"
    >
      {people.map((person, place) => (
        // biome-ignore lint/a11y/useKeyWithClickEvents: the field has the keys
        <div
          key={person.userId}
          id={`${id}-${place}`}
          role="option"
          tabIndex={-1}
          aria-selected={place === current}
          // The field keeps the focus.
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => onPick(person)}
          className="flex min-h-11 items-center gap-3 rounded-xl px-2.5 hover:bg-hover aria-selected:bg-leaf-soft"
        >
          {person.userId === ALL ? (
            <span className="grid size-7 place-items-center text-earth">
              <AtSign aria-hidden="true" className="size-5" />
            </span>
          ) : (
            <Avatar id={person.userId} name={person.userName} size="small" />
          )}
          <bdi className="min-w-0 truncate">{person.userName}</bdi>
          {person.userId === ALL && (
            <span className="ml-auto text-ink-soft text-xs">{texts.mentions.everybodyHint}</span>
          )}
        </div>
      ))}
    </div>
  );
}
