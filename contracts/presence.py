"""Who is there: what people choose, and what others see of them."""

from typing import Literal

from contracts.shape import Id, Instant, Shape, optional

Here = Literal["online", "away", "busy"]
Status = Literal["online", "away", "busy", "offline"]
# How somebody wants to be seen on all devices, until they choose again. Being away is a device's own.
Chosen = Literal["online", "busy", "invisible"]


class Seen(Shape):
    """Somebody as others see them. `lastSeenAt` of those who are offline and were here before."""

    user_id: Id
    status: Status
    last_seen_at: Instant | None = optional()
