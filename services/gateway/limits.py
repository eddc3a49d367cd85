"""Token buckets (https://en.wikipedia.org/wiki/Token_bucket). Time is passed in, in seconds."""

from dataclasses import dataclass

from services.gateway.settings import Settings


@dataclass(slots=True)
class Bucket:
    """`rate` tokens a second, at most `burst`. A rate of 0 is no limit."""

    rate: float
    burst: float
    tokens: float
    at: float

    def wait(self, now: float) -> float:
        """Seconds until a token is there; 0 when there is one."""
        if self.rate == 0:
            return 0.0
        self.tokens = min(self.burst, self.tokens + max(0.0, now - self.at) * self.rate)
        self.at = now
        return 0.0 if self.tokens >= 1 else (1 - self.tokens) / self.rate


@dataclass(slots=True)
class Buckets:
    """What one connection, or one user on all their connections here, may do."""

    frames: Bucket
    sends: Bucket
    changes: Bucket
    typing: Bucket
    reads: Bucket
    presence: Bucket
    searches: Bucket

    @classmethod
    def of(cls, settings: Settings, now: float, *, service: bool = False) -> "Buckets":
        """Full buckets, of a person or of a service account."""

        def bucket(rate: float, burst: float) -> Bucket:
            return Bucket(rate if settings.rate_limits else 0.0, burst, burst, now)

        if service:
            return cls(
                bucket(settings.limit_service_frames, settings.limit_service_frames_burst),
                bucket(settings.limit_service_sends, settings.limit_service_sends_burst),
                bucket(settings.limit_service_changes, settings.limit_service_changes_burst),
                bucket(settings.rate_typing, settings.rate_typing_burst),
                bucket(settings.rate_reads, settings.rate_reads_burst),
                bucket(settings.rate_presence, settings.rate_presence_burst),
                bucket(settings.limit_service_searches, settings.limit_service_searches_burst),
            )
        return cls(
            bucket(settings.rate_frames, settings.rate_frames_burst),
            bucket(settings.rate_sends, settings.rate_sends_burst),
            bucket(settings.rate_changes, settings.rate_changes_burst),
            bucket(settings.rate_typing, settings.rate_typing_burst),
            bucket(settings.rate_reads, settings.rate_reads_burst),
            bucket(settings.rate_presence, settings.rate_presence_burst),
            bucket(settings.rate_searches, settings.rate_searches_burst),
        )


def take(now: float, *buckets: Bucket) -> float:
    """Take a token from each, or from none; returns the seconds to wait for it, 0 when taken."""
    wait = max(bucket.wait(now) for bucket in buckets)
    if wait == 0.0:
        for bucket in buckets:
            bucket.tokens -= 1
    return wait
