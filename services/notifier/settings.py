"""What can be set for a notifier, beside what every service has."""

from typing import Annotated

from pydantic import Field

from services.settings import WorkerSettings


class Settings(WorkerSettings):
    """Settings of a notifier."""

    prefetch: Annotated[int, Field(ge=1, le=2000)] = Field(
        50, description="AMQP messages that wait here unacknowledged; each holds the events of one batch"
    )
    batch_size: Annotated[int, Field(ge=1, le=5000)] = Field(500, description="events that are looked up together")
    linger: float = Field(
        0.025,
        ge=0,
        le=1,
        description="seconds that events wait for others, to be looked up together, while there are many",
    )
    preview_length: Annotated[int, Field(ge=0, le=1000)] = Field(
        140, description="characters of a message shown in its notification; 0 shows none"
    )
