import { ArrowUp } from "lucide-react";
import { texts } from "../texts/index.ts";

/** The way up to where one left off. */
export function JumpToNew({ onClick }: { onClick: () => void }) {
  return (
    <button
      type="button"
      onClick={onClick}
      className="-translate-x-1/2 absolute top-3 left-1/2 flex min-h-10 animate-[rise_160ms_ease-out] items-center gap-2 rounded-full border border-line bg-raised px-4 font-semibold text-earth text-sm shadow-(--shadow-float) hover:bg-hover"
    >
      <ArrowUp aria-hidden="true" className="size-4" strokeWidth={2.4} />
      {texts.reading.jumpToNew}
    </button>
  );
}
