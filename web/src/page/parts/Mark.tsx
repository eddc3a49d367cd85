/** Palabre's mark: a tree whose trunk is the tail of a speech bubble, and two people under it. */
export function Mark({ className }: { className?: string }) {
  return (
    <svg viewBox="0 0 32 32" fill="currentColor" aria-hidden="true" className={className}>
      <path d="M16 2.5c5.1 0 8.9 2.6 10 6.3 2.5.7 4 2.6 4 4.9 0 3.3-2.8 5.5-6.3 5.5h-5.1c-.2 3.3.3 6.2 1.6 8.3h-8.4c1.3-2.1 1.8-5 1.6-8.3H8.3C4.8 19.2 2 17 2 13.7c0-2.3 1.5-4.2 4-4.9 1.1-3.7 4.9-6.3 10-6.3Z" />
      <circle cx="6.5" cy="26.3" r="2.6" className="text-earth" fill="currentColor" />
      <circle cx="25.5" cy="26.3" r="2.6" className="text-earth" fill="currentColor" />
    </svg>
  );
}
