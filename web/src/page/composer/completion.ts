/** The completion of `@name` in a field, with the keys of a combobox. */
import { type KeyboardEvent, type RefObject, useCallback, useEffect, useId, useRef, useState } from "react";
import { begunAt, candidates, type Mentionable, mentionsIn, type People, wordsBegun } from "./mentions.ts";

const PAUSE = 150;

export function useMentions(
  field: RefObject<HTMLTextAreaElement | null>,
  text: string,
  people: People,
  change: (text: string) => void,
) {
  const id = useId();
  const [caret, setCaret] = useState<number | null>(null); // null: nothing is to be completed
  const [active, setActive] = useState(0);
  const picked = useRef(new Map<string, string>());
  const begun = caret === null ? null : begunAt(text, caret);
  const found = begun ? candidates(begun.query, people) : [];
  const current = Math.min(active, found.length - 1);
  const isOpen = found.length > 0;
  const { look } = people;
  const words = look ? wordsBegun(text).join(" ") : "";

  useEffect(() => {
    const later = setTimeout(() => look?.(words ? words.split(" ") : []), PAUSE);
    return () => clearTimeout(later);
  }, [look, words]);

  const pick = ({ userId, userName }: Mentionable) => {
    if (!begun || caret === null) return;
    picked.current.set(userName, userId);
    const name = `@${userName} `;
    change(text.slice(0, begun.start) + name + text.slice(caret).replace(/^ /, ""));
    setCaret(null);
    const end = begun.start + name.length;
    requestAnimationFrame(() => field.current?.setSelectionRange(end, end));
  };

  /** Returns whether the key was meant for the list. */
  const keyDown = (event: KeyboardEvent): boolean => {
    if (!isOpen) return false;
    const person = found[current];
    if (event.key === "ArrowDown") setActive((current + 1) % found.length);
    else if (event.key === "ArrowUp") setActive((current - 1 + found.length) % found.length);
    else if ((event.key === "Enter" || event.key === "Tab") && person) pick(person);
    else if (event.key === "Escape") setCaret(null);
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  };

  return {
    list: isOpen ? { id, people: found, current, onPick: pick } : null,
    keyDown,
    /** The text or the caret has changed by the person's own hand. */
    look() {
      const at = field.current;
      setActive(0);
      setCaret(at && at.selectionStart === at.selectionEnd ? at.selectionStart : null);
    },
    close: () => setCaret(null),
    mentionsOf: useCallback((content: string) => mentionsIn(content, people, picked.current), [people]),
    field: {
      "aria-autocomplete": "list" as const,
      "aria-controls": isOpen ? id : undefined,
      "aria-activedescendant": isOpen ? `${id}-${current}` : undefined,
    },
  };
}
