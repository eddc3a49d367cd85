import type { LucideIcon } from "lucide-react";
import type { ButtonHTMLAttributes, ReactNode, Ref } from "react";

type Native = ButtonHTMLAttributes<HTMLButtonElement> & { ref?: Ref<HTMLButtonElement> };

const LOOKS = {
  primary: "bg-leaf text-on-leaf hover:bg-leaf-strong disabled:opacity-55",
  quiet: "bg-hover text-ink hover:bg-line disabled:opacity-55",
  danger: "border border-line text-danger hover:border-danger disabled:opacity-55",
};

export function Button({
  look = "quiet",
  className = "",
  ...native
}: Native & { look?: keyof typeof LOOKS }) {
  return (
    <button
      type="button"
      {...native}
      className={`inline-flex min-h-10 items-center justify-center gap-2 rounded-full px-4.5 font-semibold text-[0.9375rem] transition-colors ${LOOKS[look]} ${className}`}
    />
  );
}

/** A button that shows a picture only; its label is its accessible name and its tooltip. */
export function IconButton(props: Native & { icon: LucideIcon; label: string; children?: ReactNode }) {
  const { icon: Icon, label, className = "", children, ...native } = props;
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      {...native}
      className={`relative grid size-10 shrink-0 place-items-center rounded-full text-ink-soft transition-colors hover:bg-hover hover:text-ink disabled:opacity-50 ${className}`}
    >
      <Icon aria-hidden="true" className="size-5" strokeWidth={1.9} />
      {children}
    </button>
  );
}
