import { ArrowLeft, PanelRight, TextSearch } from "lucide-react";
import { type ReactNode, type Ref, useId } from "react";
import { IconButton } from "../parts/buttons.tsx";
import { LiveAvatar } from "../presence/Faces.tsx";
import { PersonLine } from "../presence/PersonLine.tsx";
import { texts } from "../texts/index.ts";

interface Props {
  title: string;
  subtitle: string;
  face: { id: string; kind: "person" | "group" | "channel" };
  isPanelOpen: boolean;
  headingRef: Ref<HTMLHeadingElement>;
  onPanel: () => void;
  onSearch: () => void;
  /** The menu. */
  children: ReactNode;
}

/** What this conversation is, the way back to the others, and the way to its details. */
export function RoomHeader(props: Props) {
  const { title, subtitle, face, isPanelOpen, headingRef, onPanel, onSearch, children } = props;
  const subtitleId = useId();
  return (
    <header className="flex min-h-16 items-center gap-3 border-line border-b bg-surface pr-3 pl-5 max-md:pl-1.5">
      <a
        href="#/"
        aria-label={texts.conversations.back}
        className="grid size-10 shrink-0 place-items-center rounded-full text-ink-soft hover:bg-hover hover:text-ink md:hidden"
      >
        <ArrowLeft aria-hidden="true" className="size-5" />
      </a>
      <LiveAvatar id={face.id} name={title} kind={face.kind} isQuiet />
      <div className="min-w-0 flex-1">
        <h1
          ref={headingRef}
          tabIndex={-1}
          aria-describedby={subtitleId}
          className="truncate font-semibold text-[1.0625rem] leading-snug outline-none"
        >
          <bdi>{title}</bdi>
        </h1>
        <p id={subtitleId} className="truncate text-ink-soft text-xs">
          {face.kind === "person" ? <PersonLine userId={face.id} otherwise={subtitle} /> : subtitle}
        </p>
      </div>
      <IconButton icon={TextSearch} label={texts.search.inThis} onClick={onSearch} />
      <IconButton
        icon={PanelRight}
        label={texts.members.open}
        aria-expanded={isPanelOpen}
        onClick={onPanel}
        className={isPanelOpen ? "bg-hover" : ""}
      />
      {children}
    </header>
  );
}
