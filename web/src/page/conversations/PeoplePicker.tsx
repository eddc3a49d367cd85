import { Check, Search, X } from "lucide-react";
import { type KeyboardEvent, useEffect, useId, useState } from "react";
import { Avatar } from "../parts/Avatar.tsx";
import { isComposed } from "../parts/keys.ts";
import { texts } from "../texts/index.ts";
import { reasonOf } from "../texts/reason.ts";
import { foldedForSearch } from "./names.ts";

export interface Person {
  userId: string;
  userName: string;
}

interface Props {
  label?: string;
  search: (query: string) => Promise<Person[]>;
  picked: Person[];
  onChange: (picked: Person[]) => void;
  /** One person at most. */
  isSingle?: boolean;
  /** People who are there already. */
  without: string[];
}

const words = texts.create;
const PAUSE = 150;

/** A combobox (as WAI-ARIA describes it) that finds people by name; those picked stand above it. */
export function PeoplePicker(props: Props) {
  const { label = words.people, search, picked, onChange, isSingle = false, without } = props;
  const [query, setQuery] = useState("");
  const { people, isSearching, failure } = useSearch(search, query);
  const [active, setActive] = useState(0);
  const id = useId();
  // Until the answer is here, what was found before is looked through.
  const found = people.filter(
    (person) => !without.includes(person.userId) && (!isSearching || matches(person, query)),
  );
  const current = Math.min(active, found.length - 1);

  const toggle = (person: Person) => {
    const isPicked = picked.some((one) => one.userId === person.userId);
    if (isPicked) onChange(picked.filter((one) => one.userId !== person.userId));
    else onChange(isSingle ? [person] : [...picked, person]);
    setQuery("");
    setActive(0);
  };
  const keyDown = (event: KeyboardEvent) => {
    if (isComposed(event)) return;
    const person = found[current];
    if (event.key === "ArrowDown") setActive(Math.min(current + 1, found.length - 1));
    else if (event.key === "ArrowUp") setActive(Math.max(current - 1, 0));
    else if (event.key === "Enter" && person) toggle(person);
    else if (event.key === "Backspace" && !query) onChange(picked.slice(0, -1));
    else return;
    if (event.key !== "Backspace") event.preventDefault();
  };

  return (
    <div className="grid min-h-0 gap-2">
      <label htmlFor={`${id}-field`} className="font-semibold text-sm">
        {label}
      </label>
      {picked.length > 0 && (
        <ul className="flex flex-wrap gap-1.5">
          {picked.map((person) => (
            <li
              key={person.userId}
              className="flex max-w-full items-center gap-1.5 rounded-full bg-leaf-soft py-1 pr-1 pl-3 font-semibold text-sm"
            >
              <bdi className="truncate">{person.userName}</bdi>
              <button
                type="button"
                aria-label={words.unpick(person.userName)}
                onClick={() => toggle(person)}
                className="grid size-6 shrink-0 place-items-center rounded-full hover:bg-hover"
              >
                <X aria-hidden="true" className="size-3.5" strokeWidth={2.4} />
              </button>
            </li>
          ))}
        </ul>
      )}
      <div className="flex items-center gap-2.5 rounded-2xl border border-line-strong bg-surface px-3.5 focus-within:outline-2 focus-within:outline-leaf">
        <Search aria-hidden="true" className="size-4.5 shrink-0 text-ink-soft" />
        <input
          id={`${id}-field`}
          role="combobox"
          aria-expanded={true}
          aria-controls={`${id}-list`}
          aria-activedescendant={found[current] ? `${id}-${found[current].userId}` : undefined}
          aria-autocomplete="list"
          autoComplete="off"
          placeholder={words.searchPeople}
          value={query}
          onChange={(event) => {
            setQuery(event.target.value);
            setActive(0);
          }}
          onKeyDown={keyDown}
          className="min-h-11 min-w-0 flex-1 bg-transparent outline-none"
        />
      </div>
      <div className="flex h-56 flex-col rounded-2xl border border-line p-1.5">
        <div
          role="listbox"
          id={`${id}-list`}
          aria-label={label}
          aria-multiselectable={!isSingle}
          className="grid min-h-0 overflow-y-auto"
        >
          {found.map((person, place) => {
            const isPicked = picked.some((one) => one.userId === person.userId);
            return (
              // biome-ignore lint/a11y/useKeyWithClickEvents: the keyboard's way is the field above
              // biome-ignore lint/a11y/useFocusableInteractive: the focus stays in the field, as a combobox has it
              <div
                key={person.userId}
                id={`${id}-${person.userId}`}
                role="option"
                aria-selected={isPicked}
                onClick={() => toggle(person)}
                ref={place === current ? intoView : undefined}
                className={`flex items-center gap-3 rounded-xl px-2 py-1.5 hover:bg-hover ${place === current ? "bg-hover" : ""}`}
              >
                <Avatar id={person.userId} name={person.userName} />
                <bdi className="min-w-0 flex-1 truncate">{person.userName}</bdi>
                {isPicked && <Check aria-hidden="true" className="size-5 shrink-0 text-leaf" />}
              </div>
            );
          })}
        </div>
        <p role="status" className={found.length ? "sr-only" : "px-3 py-4 text-ink-soft text-sm"}>
          {isSearching ? words.searching : (failure ?? (!found.length && words.noPeople))}
        </p>
      </div>
    </div>
  );
}

const matches = (person: Person, query: string) =>
  foldedForSearch(person.userName).includes(foldedForSearch(query));

const intoView = (element: HTMLElement | null) => element?.scrollIntoView({ block: "nearest" });

interface Answer {
  query: string | null;
  people: Person[];
  failure: string | null;
}

function useSearch(search: Props["search"], query: string) {
  const [answer, setAnswer] = useState<Answer>({ query: null, people: [], failure: null });
  useEffect(() => {
    let isWanted = true;
    const later = setTimeout(
      () => {
        search(query.trim()).then(
          (people) => isWanted && setAnswer({ query, people, failure: null }),
          (error) =>
            isWanted && setAnswer({ query, people: [], failure: texts.members.failed(reasonOf(error)) }),
        );
      },
      query ? PAUSE : 0,
    );
    return () => {
      isWanted = false;
      clearTimeout(later);
    };
  }, [search, query]);
  return { ...answer, isSearching: answer.query !== query };
}
