"""Up to where one has read, and above which message the line of what is unread goes. No I/O."""


class Reading:
    """One person's place in one conversation."""

    def __init__(self, mark: int) -> None:
        """`mark` is the seq of the newest message that they have read."""
        self.mark = mark
        self._lined = False

    def begins_unread(self, seq: int, seen: bool) -> bool:
        """Whether the line goes above this message, which is about to be shown. Once, until everything is read.

        `seen`: it comes while somebody looks.
        """
        if seen or self._lined or seq <= self.mark:
            return False
        self._lined = True
        return True

    def read(self, seq: int) -> None:
        """They have read up to here; a mark never goes back."""
        if seq > self.mark:
            self.mark = seq
            self._lined = False
