import { Hash, type LucideIcon, User, Users } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import { PublicSwitch } from "../channels/PublicSwitch.tsx";
import { Button } from "../parts/buttons.tsx";
import { Dialog } from "../parts/Dialog.tsx";
import { texts } from "../texts/index.ts";
import { reasonOf } from "../texts/reason.ts";
import { PeoplePicker, type Person } from "./PeoplePicker.tsx";

export type Kind = "direct" | "group" | "channel";

export interface Wanted {
  type: Kind;
  name?: string;
  memberIds: string[];
  /** For channels. */
  public?: boolean;
}

interface Props {
  userId: string;
  search: (query: string) => Promise<Person[]>;
  /** Rejects with the reason in words. */
  create: (wanted: Wanted) => Promise<void>;
  onClose: () => void;
}

const words = texts.create;
const NAME_LENGTH = 200;
const KINDS: [Kind, LucideIcon, string, string][] = [
  ["direct", User, words.direct, words.directHint],
  ["group", Users, words.group, words.groupHint],
  ["channel", Hash, words.channel, words.channelHint],
];

/** Start a conversation: which kind, its name, and with whom. */
export default function NewConversation({ userId, search, create, onClose }: Props) {
  const [kind, setKind] = useState<Kind>("direct");
  const [name, setName] = useState("");
  const [isPublic, setPublic] = useState(false);
  const [picked, setPicked] = useState<Person[]>([]);
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string | null>(null);
  const nameId = useId();
  const missing = kind === "direct" ? !picked.length && words.personNeeded : !name.trim() && words.nameNeeded;

  const choose = (next: Kind) => {
    setKind(next);
    setFailure(null);
    if (next === "direct") setPicked(picked.slice(0, 1));
  };
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (missing) return setFailure(missing);
    setBusy(true);
    setFailure(null);
    try {
      const memberIds = picked.map((person) => person.userId);
      await create({
        type: kind,
        memberIds,
        ...(kind !== "direct" && { name: name.trim() }),
        ...(kind === "channel" && { public: isPublic }),
      });
    } catch (error) {
      setFailure(words.failed(reasonOf(error)));
      setBusy(false);
    }
  };

  return (
    <Dialog title={words.title} onClose={onClose}>
      <form onSubmit={submit} noValidate className="flex min-h-0 flex-col">
        <div className="grid min-h-0 gap-4 overflow-y-auto px-6 pt-3 pb-4">
          <fieldset className="grid grid-cols-3 gap-2">
            <legend className="sr-only">{words.kindLabel}</legend>
            {KINDS.map(([value, Icon, label, hint]) => (
              <label
                key={value}
                className="relative grid content-start gap-0.5 rounded-2xl border border-line p-3 has-checked:bg-leaf-soft has-focus-visible:outline-2 has-focus-visible:outline-leaf has-focus-visible:outline-offset-2"
              >
                <input
                  type="radio"
                  name="kind"
                  value={value}
                  checked={kind === value}
                  onChange={() => choose(value)}
                  className="absolute -inset-px cursor-pointer appearance-none outline-none"
                />
                <Icon aria-hidden="true" className="size-5 text-leaf" />
                <span className="font-semibold text-sm">{label}</span>
                <span className="text-ink-soft text-xs leading-snug">{hint}</span>
              </label>
            ))}
          </fieldset>
          {kind !== "direct" && (
            <div className="grid gap-1.5">
              <label htmlFor={nameId} className="font-semibold text-sm">
                {words.name}
              </label>
              <input
                id={nameId}
                maxLength={NAME_LENGTH}
                autoComplete="off"
                placeholder={words.namePlaceholder[kind]}
                value={name}
                onChange={(event) => setName(event.target.value)}
                className="min-h-11 rounded-2xl border border-line-strong bg-surface px-3.5"
              />
            </div>
          )}
          {kind === "channel" && <PublicSwitch isOn={isPublic} onChange={setPublic} />}
          <PeoplePicker
            search={search}
            picked={picked}
            onChange={setPicked}
            isSingle={kind === "direct"}
            without={[userId]}
          />
          <p role="alert" className={failure ? "text-danger text-sm" : "sr-only"}>
            {failure}
          </p>
        </div>
        <footer className="flex justify-end gap-2 border-line border-t px-6 py-4">
          <Button onClick={onClose}>{words.cancel}</Button>
          <Button type="submit" look="primary" disabled={isBusy}>
            {isBusy ? words.submitting : words.submit}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
