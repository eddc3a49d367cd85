"""What can be set for a persister, beside what every service has."""

from typing import Annotated

from pydantic import Field

from contracts.limits import BATCH_COMMANDS
from services.settings import WorkerSettings


class Settings(WorkerSettings):
    """Settings of a persister."""

    batch_size: Annotated[int, Field(ge=1, le=BATCH_COMMANDS)] = Field(
        BATCH_COMMANDS, description="most commands in one write to MongoDB"
    )
    prefetch: Annotated[int, Field(ge=1, le=2000)] = Field(
        100, description="AMQP messages of one partition that wait here unacknowledged"
    )
    edit_limit: Annotated[float, Field(ge=0)] = Field(
        0, description="seconds after which a message can no longer be edited; 0 is no limit"
    )
    delete_limit: Annotated[float, Field(ge=0)] = Field(
        0, description="seconds after which its sender can no longer delete a message; 0 is no limit"
    )
    purge_size: Annotated[int, Field(ge=1)] = Field(
        5000, description="messages of a deleted conversation that are erased at a time"
    )
