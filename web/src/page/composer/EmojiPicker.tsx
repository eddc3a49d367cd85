import { EmojiPicker as Picker } from "frimousse";
import { texts } from "../texts/index.ts";

/** Loaded when it is first opened. Its data come from our own server, under /emoji. */
export default function EmojiPicker({ onPick }: { onPick: (emoji: string) => void }) {
  return (
    <Picker.Root
      locale={texts.language}
      emojibaseUrl={`${location.origin}/emoji`}
      columns={8}
      onEmojiSelect={({ emoji }) => onPick(emoji)}
      className="isolate flex h-88 w-82 max-w-[calc(100vw-2rem)] flex-col rounded-3xl border border-line bg-raised shadow-(--shadow-float)"
    >
      <Picker.Search
        autoFocus
        aria-label={texts.emoji.search}
        placeholder={texts.emoji.search}
        className="m-3 mb-1 min-h-10 rounded-full border border-line-strong bg-surface px-4 text-[0.9375rem] [&::-webkit-search-cancel-button]:hidden"
      />
      <Picker.Viewport className="relative flex-1 outline-none">
        <Picker.Loading className="absolute inset-0 grid place-items-center text-ink-soft">
          {texts.emoji.loading}
        </Picker.Loading>
        <Picker.Empty className="absolute inset-0 grid place-items-center text-ink-soft">
          {texts.emoji.none}
        </Picker.Empty>
        <Picker.List
          className="select-none pb-3"
          components={{
            CategoryHeader: ({ category, ...native }) => (
              <div
                {...native}
                className="bg-raised px-4 pt-2 pb-1.5 font-semibold text-ink-soft text-xs first-letter:uppercase"
              >
                {category.label}
              </div>
            ),
            Row: ({ children, ...native }) => (
              <div {...native} className="scroll-my-2 px-3">
                {children}
              </div>
            ),
            Emoji: ({ emoji, ...native }) => (
              <button
                {...native}
                type="button"
                className="grid size-9.5 place-items-center rounded-xl text-2xl data-active:bg-hover"
              >
                {emoji.emoji}
              </button>
            ),
          }}
        />
      </Picker.Viewport>
    </Picker.Root>
  );
}
