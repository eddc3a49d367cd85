import { texts } from "../texts/index.ts";

const words = texts.typing;

/** Who is writing just now. It always has its height, so that nothing moves when somebody begins. */
export function TypingLine({ names }: { names: string[] }) {
  return (
    <p
      role="status"
      className="mx-auto flex h-7 w-full max-w-4xl items-center gap-2 px-7 text-ink-soft text-sm max-sm:px-5"
    >
      {names.length > 0 && (
        <>
          <span aria-hidden="true" className="flex gap-1">
            {[0, 160, 320].map((delay) => (
              <span
                key={delay}
                style={{ animationDelay: `${delay}ms` }}
                className="size-1.5 animate-[breathe_1.1s_ease-in-out_infinite] rounded-full bg-leaf"
              />
            ))}
          </span>
          <span className="truncate">{sentence(names)}</span>
        </>
      )}
    </p>
  );
}

function sentence([first, second, ...others]: string[]): string {
  if (!first) return "";
  if (!second) return words.one(first);
  return others.length ? words.many : words.two(first, second);
}
