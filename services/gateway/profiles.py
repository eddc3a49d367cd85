"""Profiles of those who authenticate: read first, and written (by command) only when they are new or changed."""

import asyncio
import time
from collections import OrderedDict

from contracts import commands
from contracts.conversation import Profile
from contracts.errors import Refusal
from services.gateway.directory import Directory
from services.gateway.history import reading
from services.gateway.ingress import Ingress, new_id
from services.telemetry import logger

REMEMBERED = 50_000
TRUSTED = 60.0  # seconds; another gateway may have stored another one since
PATIENCE = 2.0  # seconds that somebody waits for their profile; authenticating must work without the persister


class Profiles:
    """Knows who was seen here lately."""

    def __init__(self, directory: Directory, ingress: Ingress) -> None:
        self._directory = directory
        self._ingress = ingress
        self._seen: OrderedDict[str, tuple[Profile, float]] = OrderedDict()

    async def store(self, profile: Profile) -> None:
        """Returns when the profile is stored, or at the latest after `PATIENCE`."""
        seen, until = self._seen.get(profile.user_id, (None, 0.0))
        if seen == profile and time.monotonic() < until:
            return
        try:
            async with asyncio.timeout(PATIENCE), reading():
                if await self._directory.profile(profile.user_id) != profile:
                    await self._ingress.request(
                        commands.StoreProfile(
                            id=new_id(),
                            origin=self._ingress.origin(None),
                            actor=profile,
                            expires_at=self._ingress.expires_at(),
                        )
                    )
        except (Refusal, TimeoutError) as error:
            logger().warning("profile not stored", user=profile.user_id, reason=str(error) or "too slow")
            return
        self._seen[profile.user_id] = (profile, time.monotonic() + TRUSTED)
        self._seen.move_to_end(profile.user_id)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
