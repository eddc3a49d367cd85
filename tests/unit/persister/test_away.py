"""What is tried again until it succeeds, and what is a command's own fault."""

import pytest
from pymongo.errors import AutoReconnect, BulkWriteError, DuplicateKeyError, OperationFailure

from services.amqp import BrokerAway
from services.persister.away import is_away

DISK_FULL, NOT_PRIMARY, DUPLICATE_KEY, TOO_LARGE = 14031, 10107, 11000, 10334


@pytest.mark.parametrize(
    "error",
    [
        BrokerAway("gone"),
        AutoReconnect("gone"),
        OperationFailure("no space", DISK_FULL),
        OperationFailure("no primary", NOT_PRIMARY),
        BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 64}]}),
        BulkWriteError({"writeErrors": [{"index": 0, "code": DISK_FULL}]}),
    ],
)
def test_what_passes(error: Exception) -> None:
    assert is_away(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("ours"),
        DuplicateKeyError("there already", DUPLICATE_KEY),
        OperationFailure("too large", TOO_LARGE),
        BulkWriteError({"writeErrors": [{"index": 0, "code": DUPLICATE_KEY}]}),
    ],
)
def test_what_does_not(error: Exception) -> None:
    assert not is_away(error)
