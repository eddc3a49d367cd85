import { lazy, type RefObject } from "react";
import { Anchored } from "../parts/Anchored.tsx";
import { Confirm } from "../parts/Confirm.tsx";
import { Fetched } from "../parts/Fetched.tsx";
import { texts } from "../texts/index.ts";
import { ReactionPicker } from "./ReactionPicker.tsx";
import type { Acts, Row } from "./rows.ts";
import type { Asked, Tool } from "./tools.ts";

const EditsDialog = lazy(() => import("./EditsDialog.tsx"));
const words = texts.messages;

interface Props {
  asked: Asked;
  row: Row;
  userId: string;
  tools: Tool[];
  acts: Acts;
  /** The message as it is drawn, where what belongs to it opens. */
  anchor: RefObject<HTMLElement | null>;
  onClose: () => void;
}

/** What opens from one message: choosing an emoji, everything that can be done with it, a question, its history. */
export function MessageDialogs({ asked, row, userId, tools, acts, anchor, onClose }: Props) {
  const { message } = row;
  const isMine = (emoji: string) =>
    message.reactions.some((one) => one.emoji === emoji && one.userIds.includes(userId));
  const react = (emoji: string) => {
    acts.react(message, emoji, !isMine(emoji));
    onClose();
  };
  const others = tools.filter(({ label }) => label !== words.react);
  switch (asked) {
    case "react":
      return (
        <Anchored label={words.react} anchor={anchor} onClose={onClose}>
          <ReactionPicker isMine={isMine} onPick={react} />
        </Anchored>
      );
    case "sheet":
      return (
        <Anchored label={words.tools} anchor={anchor} onClose={onClose} isSheet>
          {acts.may("react") && <ReactionPicker isMine={isMine} onPick={react} />}
          <ul className="px-2 pb-3">
            {others.map(({ icon: Icon, label, isDangerous, run }) => (
              <li key={label}>
                <button
                  type="button"
                  onClick={() => {
                    onClose();
                    run();
                  }}
                  className={`flex min-h-12 w-full items-center gap-4 rounded-2xl px-4 text-left font-semibold hover:bg-hover ${isDangerous ? "text-danger" : ""}`}
                >
                  <Icon aria-hidden="true" className="size-5" strokeWidth={1.9} />
                  {label}
                </button>
              </li>
            ))}
          </ul>
        </Anchored>
      );
    case "delete":
      return (
        <Confirm
          title={words.deleteTitle}
          question={words.deleteQuestion}
          submit={words.delete}
          action={async () => acts.delete(message)}
          onClose={onClose}
        />
      );
    case "edits":
      return (
        <Fetched onClose={onClose}>
          <EditsDialog message={message} load={() => acts.loadEdits(message)} onClose={onClose} />
        </Fetched>
      );
  }
}
