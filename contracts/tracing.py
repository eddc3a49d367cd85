"""How the context of a trace travels: as the field `traceparent` (W3C Trace Context), last in the JSON of what is traced.

Commands, events and the headers of fan-out items are carried so. Only what is sampled has the field, and only who traces
looks for it: the models do not know it, since even a field that is left out costs something with every message. Events are
for others too, so theirs have it (`events.CloudEvent`).

Source: https://www.w3.org/TR/trace-context/#traceparent-header
"""

import re

SAMPLED = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01")
# In JSON a quote within a text is escaped, so nothing that somebody wrote looks like this.
_LAST = re.compile(rb',"traceparent":"([0-9a-f-]{55})"}\Z')


def carry(value: bytes, traceparent: str) -> bytes:
    """A JSON object (not an empty one) with its trace."""
    return b'%b,"traceparent":"%b"}' % (value[:-1], traceparent.encode())


def carried(value: bytes) -> str | None:
    """The `traceparent` that `carry` added, where it says that its trace is sampled."""
    found = _LAST.search(value, max(0, len(value) - 80))
    return sampled(found[1].decode()) if found else None


def untraced(command_id: str) -> str:
    """The `traceparent` of a command that is not traced, as its flags say; its 32 hexadecimal digits are the trace's id."""
    return f"00-{command_id}-{command_id[16:]}-00"


def sampled(traceparent: object) -> str | None:
    """What came as a `traceparent`, if it is one of a trace that is sampled; anything else is nobody's trace."""
    return traceparent if isinstance(traceparent, str) and SAMPLED.fullmatch(traceparent) else None
