import { ArrowUp } from "lucide-react";
import { type KeyboardEvent, useEffect, useId, useLayoutEffect, useRef, useState } from "react";
import type { Composing } from "../messages/rows.ts";
import { isComposed } from "../parts/keys.ts";
import { texts } from "../texts/index.ts";
import { ComposingBar } from "./Composing.tsx";
import { useMentions } from "./completion.ts";
import { EmojiButton } from "./EmojiButton.tsx";
import { remaining } from "./length.ts";
import { MentionList } from "./MentionList.tsx";
import type { Mentions, People } from "./mentions.ts";

interface Props {
  /** What was begun before; it may come a moment later than the composer. */
  draft: string;
  /** Of whom or what this message is for. */
  title: string;
  /** Who can be mentioned. */
  people: People;
  /** A reply, or an earlier message that is edited. */
  composing: Composing | null;
  onEndComposing: () => void;
  /** Edit one's own last message. */
  onEditLast: () => void;
  onDraft: (text: string) => void;
  onSend: (content: string, mentions: Mentions) => void;
  onTyping: (isTyping: boolean) => void;
}

/** Where a message is written. It belongs to one conversation: another one has another composer. */
export function Composer(props: Props) {
  const { draft, title, people, composing, onEndComposing, onEditLast, onDraft, onSend, onTyping } = props;
  const [begun, setBegun] = useState(draft);
  const [edited, setEdited] = useState<string | null>(null); // an earlier message; what is being written waits
  const text = edited ?? begun;
  const isTouched = useRef(false);
  const field = useRef<HTMLTextAreaElement>(null);
  const noteId = useId();
  const left = remaining(text);
  const maySend = text.trim() !== "" && (left === null || left >= 0);

  // biome-ignore lint/correctness/useExhaustiveDependencies: its height follows from the text
  useLayoutEffect(() => grow(field.current), [text]);
  useEffect(() => () => onTyping(false), [onTyping]);
  useEffect(() => {
    if (!isTouched.current) setBegun(draft);
  }, [draft]);

  const shown = useRef(composing); // what was begun before opens no keyboard
  useEffect(() => {
    setEdited(composing?.kind === "edit" ? composing.message.content : null);
    if (composing && composing !== shown.current) field.current?.focus();
    shown.current = composing;
  }, [composing]);

  const change = (value: string) => {
    if (composing?.kind === "edit") return setEdited(value); // it is no message to be sent later
    setBegun(value);
    isTouched.current = true;
    onDraft(value);
    onTyping(value.trim() !== "");
  };
  const mentions = useMentions(field, text, people, change);
  const send = () => {
    if (!maySend) return;
    onSend(text.trim(), mentions.mentionsOf(text));
    change("");
    field.current?.focus();
  };
  const keyDown = (event: KeyboardEvent) => {
    if (isComposed(event)) return;
    if (mentions.keyDown(event)) return;
    if (event.key === "Escape" && composing) {
      event.preventDefault(); // or it closes the dialog that this may be in
      event.stopPropagation();
      onEndComposing();
      return;
    }
    if (event.key === "ArrowUp" && text === "" && !composing) {
      event.preventDefault();
      onEditLast();
      return;
    }
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    send();
  };
  const insert = (emoji: string) => {
    const at = field.current;
    const [start, end] = [at?.selectionStart ?? text.length, at?.selectionEnd ?? text.length];
    change(text.slice(0, start) + emoji + text.slice(end));
    requestAnimationFrame(() => at?.setSelectionRange(start + emoji.length, start + emoji.length));
  };

  // No form: Enter in the search for an emoji would send what is not finished.
  return (
    <div className="mx-auto w-full max-w-4xl px-4 pb-3 max-sm:px-2 max-sm:pb-2">
      {composing && <ComposingBar composing={composing} onEnd={onEndComposing} />}
      <div className="relative">{mentions.list && <MentionList {...mentions.list} />}</div>
      <div className="flex items-end gap-1 rounded-[1.625rem] border border-line-strong bg-raised p-1.5 shadow-(--shadow-lift) has-[textarea:focus]:border-leaf has-[textarea:focus]:outline-2 has-[textarea:focus]:-outline-offset-1 has-[textarea:focus]:outline-leaf">
        <EmojiButton onPick={insert} onClose={() => field.current?.focus()} />
        <textarea
          ref={field}
          rows={1}
          dir="auto"
          value={text}
          enterKeyHint="send"
          aria-label={texts.composer.label(title)}
          aria-describedby={noteId}
          placeholder={texts.composer.placeholder}
          onChange={(event) => {
            change(event.target.value);
            mentions.look();
          }}
          onClick={mentions.look}
          onKeyDown={keyDown}
          onBlur={() => {
            onTyping(false);
            mentions.close();
          }}
          {...mentions.field}
          className="max-h-[min(15rem,35dvh)] min-h-10 min-w-0 flex-1 resize-none self-center overflow-y-auto bg-transparent px-1.5 py-2 leading-6 outline-none [overflow-wrap:anywhere]"
        />
        <button
          type="button"
          aria-label={texts.composer.send}
          title={texts.composer.send}
          disabled={!maySend}
          onClick={send}
          className="grid size-10 shrink-0 place-items-center rounded-full bg-leaf text-on-leaf transition-colors hover:bg-leaf-strong disabled:bg-hover disabled:text-ink-soft"
        >
          <ArrowUp aria-hidden="true" className="size-5" strokeWidth={2.4} />
        </button>
      </div>
      <p id={noteId} className={left === null ? "sr-only" : "px-4 pt-1.5 text-right text-xs text-ink-soft"}>
        {left === null && texts.composer.hint}
        {left !== null && left >= 0 && texts.composer.left(left)}
        {left !== null && left < 0 && (
          <span className="font-semibold text-danger">{texts.composer.tooLong(-left)}</span>
        )}
      </p>
    </div>
  );
}

/** As high as its text, within what the style allows. */
function grow(field: HTMLTextAreaElement | null): void {
  if (!field) return;
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}
