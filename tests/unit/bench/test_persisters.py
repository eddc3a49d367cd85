"""What two persisters should take is read off the line through one persister at two loads."""

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from bench.persisters import Cost, Handled, explained, read


def test_between_two_loads_the_cost_follows_the_batches() -> None:
    # 100 µs a message and 80 a batch for the first process, 50 and none for the second.
    half, whole = Cost(0.5, [140.0, 50.0]), Cost(0.25, [120.0, 50.0])
    assert explained(half, whole, 0.4) == pytest.approx([132.0, 50.0])
    assert explained(half, whole, 0.6) == pytest.approx([148.0, 50.0])


def test_two_loads_with_batches_of_one_length_tell_nothing() -> None:
    assert explained(Cost(0.5, [140.0]), Cost(0.49, [139.0]), 0.6) is None


def test_metrics_are_read_as_a_persister_writes_them() -> None:
    registry = CollectorRegistry()
    commands = Counter("palabre_persister_commands_total", "Commands handled", ["type"], registry=registry)
    batches = Histogram("palabre_persister_batch_commands", "Commands in one batch", registry=registry)
    commands.labels("message.send").inc(7)
    commands.labels("profile.store").inc(2)
    batches.observe(3)
    batches.observe(4)
    handled = read(generate_latest(registry).decode())
    assert (handled, handled.length) == (Handled(7, 2), 3.5)
