import { type FormEvent, useState } from "react";
import { Button } from "../parts/buttons.tsx";
import { texts } from "../texts/index.ts";
import { reasonOf } from "../texts/reason.ts";

const words = texts.members;
const NAME_LENGTH = 200;

interface Props {
  name: string;
  /** Rejects with the reason in words. */
  rename: (name: string) => Promise<void>;
  onClose: () => void;
}

/** Another name for a conversation. */
export function RenameForm({ name, rename, onClose }: Props) {
  const [text, setText] = useState(name);
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string | null>(null);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const wanted = text.trim();
    if (!wanted || wanted === name) return onClose();
    setBusy(true);
    try {
      await rename(wanted);
      onClose();
    } catch (error) {
      setFailure(words.failed(reasonOf(error)));
      setBusy(false);
    }
  };
  return (
    <form
      onSubmit={submit}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.preventDefault(); // or it closes the dialog that this may be in
        event.stopPropagation();
        onClose();
      }}
      className="grid w-full gap-2"
    >
      <input
        // biome-ignore lint/a11y/noAutofocus: the person has just asked for it
        autoFocus
        aria-label={words.renameLabel}
        maxLength={NAME_LENGTH}
        value={text}
        onChange={(event) => setText(event.target.value)}
        className="min-h-11 w-full rounded-2xl border border-line-strong bg-surface px-3.5"
      />
      <p role="alert" className={failure ? "text-danger text-sm" : "sr-only"}>
        {failure}
      </p>
      <div className="flex justify-center gap-2">
        <Button onClick={onClose}>{words.cancel}</Button>
        <Button type="submit" look="primary" disabled={isBusy}>
          {words.save}
        </Button>
      </div>
    </form>
  );
}
