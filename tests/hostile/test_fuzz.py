"""Input that nobody thought of: frames at the session and at a socket. `make fuzz` goes on."""

import asyncio
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.frames import CLIENT_FRAMES
from contracts.shape import now
from services.gateway.auth import Identity
from services.gateway.limits import Buckets
from services.gateway.session import Refused, Session
from services.gateway.settings import Settings
from tests.hostile.fuzz import SETTINGS, STEPS, Report, fuzz, make_world
from tests.support.builders import make_profile
from tests.support.logs import Logs, other_gateway
from tests.support.system import System

pytestmark = pytest.mark.e2e

FIELDS = sorted({f.alias or name for kind in CLIENT_FRAMES.values() for name, f in kind.model_fields.items()})
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
FRAMES = st.builds(
    lambda kind, fields: json.dumps({**fields, "type": kind}),
    st.sampled_from([*CLIENT_FRAMES, *(kind.upper() for kind in CLIENT_FRAMES)]) | TEXTS,
    st.dictionaries(st.sampled_from(FIELDS) | TEXTS, VALUES, max_size=8),
)


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(FRAMES | TEXTS | st.binary(max_size=80), max_size=4), st.booleans())
def test_a_session_judges_whatever_comes(data: list[str | bytes], known: bool) -> None:
    """What comes out is a frame of the protocol, or a refusal of the protocol."""
    limits = Settings(auth_dev=True, rate_limits=False)
    session = Session(limits, 0.0)
    if known:
        session.authenticated(Identity(make_profile("alice"), now()), Buckets.of(limits, 0.0))
    for item in data:
        outcome = session.receive(item, 0.0)
        if isinstance(outcome, Refused):
            answer = json.loads(outcome.frame.encode())
            assert answer["code"] in {
                *("INVALID_FRAME", "UNKNOWN_TYPE", "NOT_AUTHENTICATED", "INVALID_TOKEN"),
                *("NOT_JOINED", "CONTENT_EMPTY", "CONTENT_TOO_LONG"),
            }
        else:
            assert type(outcome) in CLIENT_FRAMES.values()
            assert known or outcome.type in ("authenticate", "ping")  # type: ignore[attr-defined]


async def test_frames_at_a_socket(system: System, logs: Logs) -> None:
    """Each is read, the good ones are answered, and memory is looked at in between."""
    async with other_gateway(system, logs, **SETTINGS) as gateway:
        world, report, looked = await make_world(gateway), Report(), [0]

        def look() -> None:
            looked[0] += 1

        async with asyncio.timeout(50):
            await fuzz([gateway], world, 1, 2000, report, look)
        assert (report.read, report.unread, report.unexpected) == (2000, 0, {})
        assert looked[0] == STEPS
        assert report.errors["INVALID_FRAME"] > 100, "they are read"
        assert sum(world.heads.values()) > 100, "good ones are stored"
        assert report.answered > 300
        assert report.errors["INTERNAL"] == 0
