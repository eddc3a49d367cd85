"""Whether a failure passes by itself."""

from pymongo.errors import BulkWriteError, ConnectionFailure, ExecutionTimeout, OperationFailure, PyMongoError

from services.amqp import BrokerAway, Unroutable
from services.persister import metrics
from services.persister.rooms import Contended
from services.telemetry import logger

# MongoDB's answers while it stops, starts, elects, is cut off or is full
# (https://www.mongodb.com/docs/manual/reference/error-codes/): shutdown, not primary, write concern, interrupted, write
# conflict, no majority to read from yet, no space on the disk.
PASSING = frozenset({6, 7, 64, 89, 91, 100, 112, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436, 14031})


def is_away(error: BaseException) -> bool:
    """Whether a dependency is away or busy, so that the same may succeed later."""
    match error:
        case BrokerAway() | Unroutable() | Contended() | ConnectionFailure() | ExecutionTimeout():
            return True
        case BulkWriteError():
            # Without a write error it is the acknowledgement by the majority that is missing.
            return all(problem["code"] in PASSING for problem in error.details.get("writeErrors", ()))
        case OperationFailure():
            return error.code in PASSING or error.timeout
    return False


def say_away(error: BaseException | None) -> None:
    """Count and log what is about to be tried again."""
    metrics.RETRIES.inc()
    kind = "MongoDB" if isinstance(error, PyMongoError) else "RabbitMQ"
    logger().warning("batch waits", dependency=kind, reason=str(error)[:200])
