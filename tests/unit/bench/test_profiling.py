"""Stacks as py-spy writes them: what counts is who was at work, and whose code that is."""

import pytest

from bench.profiling import own_time, package


def test_own_time_is_that_of_the_innermost_function() -> None:
    stacks = [
        "<module> (services/gateway/__main__.py:1);run (asyncio/runners.py:118);Wire.write (services/gateway/wire.py:40) 7",
        "run (asyncio/runners.py:118);Wire.write (services/gateway/wire.py:40) 2",
        "run (asyncio/runners.py:118) 3",
        "run (asyncio/runners.py:118);<lambda> (<string>) 1",
        "",
    ]
    assert own_time(stacks) == {
        ("Wire.write", "services/gateway/wire.py"): 9,
        ("run", "asyncio/runners.py"): 3,
        ("<lambda>", "<string>"): 1,
    }


@pytest.mark.parametrize(
    ("file", "whose"),
    [
        ("services/gateway/wire.py", "services/gateway"),
        ("contracts/shape.py", "contracts"),
        ("pymongo/synchronous/collection.py", "pymongo"),
        ("selectors.py", "selectors"),
    ],
)
def test_the_package_of_a_file(file: str, whose: str) -> None:
    assert package(file) == whose
