"""Which numbers an entry of the notification centre counts; and that sharing a document changes nobody's entries."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.notifier.centre import MARKS, Group, News, follow, is_marked, mark

BEGINNING = datetime(2026, 1, 31, tzinfo=UTC)
PEOPLE = ("alice", "bob", "carol", "dave")
SEQS = st.integers(1, MARKS)


@given(st.lists(st.integers(1, 200), min_size=1))
def test_marks_know_the_newest_numbers_and_take_older_ones_for_counted(seqs: list[int]) -> None:
    newest, marks = mark(seqs[0], 1, seqs)
    assert newest == max(seqs)
    assert 0 < marks < 1 << 63, "an integer of MongoDB"
    for seq in range(1, 210):
        assert is_marked(newest, marks, seq) == (seq in seqs or seq <= newest - MARKS)


# ------------------------------------------------------------------------------------------------------ a model


@dataclass
class Alone:
    """Somebody whose entries are nobody else's: the newest number and the count of each."""

    read: int = 0
    is_marked: bool = False  # the entry that goes on, by itself
    going_on: tuple[int, int] | None = None
    ended: list[tuple[int, int]] = field(default_factory=list)
    counted: set[int] = field(default_factory=set)

    def hear(self, seqs: set[int]) -> None:
        fresh = sorted(seqs - self.counted)
        if not fresh:
            return
        self.counted.update(fresh)
        if self.going_on is not None and self.going_on[0] > self.read and not self.is_marked:
            seq, count = self.going_on
            self.going_on = max(seq, fresh[-1]), count + len(fresh)
            return
        if self.going_on is not None:
            self.ended.append(self.going_on)
        self.going_on, self.is_marked = (fresh[-1], len(fresh)), False


@dataclass(frozen=True)
class Heard:
    """Messages, each by whom it is news to."""

    messages: list[tuple[int, frozenset[str]]]


@dataclass(frozen=True)
class Read:
    user: str
    up_to: int


@dataclass(frozen=True)
class Marked:
    user: str


SOME = st.frozensets(st.sampled_from(PEOPLE), min_size=1)
STEPS = st.one_of(
    st.builds(Heard, st.lists(st.tuples(SEQS, SOME), min_size=1, max_size=4, unique_by=lambda one: one[0])),
    st.builds(Read, st.sampled_from(PEOPLE), SEQS),
    st.builds(Marked, st.sampled_from(PEOPLE)),
)


def heard(step: Heard, people: dict[str, Alone]) -> list[News]:
    return [
        News(
            f"c:{seq}", seq, f"m{seq}", BEGINNING + timedelta(seconds=seq), {user: people[user].read for user in users}
        )
        for seq, users in step.messages
    ]


@given(st.lists(STEPS, max_size=25))
def test_whoever_shares_a_document_has_the_entries_that_they_would_have_alone(
    steps: list[Heard | Read | Marked],
) -> None:
    people = {user: Alone() for user in PEOPLE}
    groups: list[Group] = []
    ended: dict[str, list[tuple[int, int]]] = {user: [] for user in PEOPLE}
    for step in steps:
        match step:
            case Read(user, up_to):
                people[user].read = max(people[user].read, up_to)
            case Marked(user):
                if people[user].going_on is not None and not people[user].is_marked:
                    people[user].is_marked = True
                    (mine,) = [group for group in groups if user in group["people"]]
                    mine["read"].append({"user": user, "at": BEGINNING})
            case Heard(messages):
                following = follow("message", groups, heard(step, people), BEGINNING)
                for user, alone in people.items():
                    alone.hear({seq for seq, users in messages if user in users})
                if following is not None:
                    groups = following.groups
                    for group in following.ended:
                        for user in group["people"]:
                            ended[user].append((group["seq"], group["count"]))
        everybody = [user for group in groups for user in group["people"]]
        assert len(everybody) == len(set(everybody)), "nobody is in two groups"
        going_on = {user: (group["seq"], group["count"]) for group in groups for user in group["people"]}
        assert going_on == {user: alone.going_on for user, alone in people.items() if alone.going_on}
        assert ended == {user: alone.ended for user, alone in people.items()}
        for group in groups:
            assert {mark["user"] for mark in group["read"]} <= set(group["people"])
            assert (group["messageId"], group["last"]) == (f"m{group['seq']}", f"c:{group['seq']}")
            assert group["at"] == BEGINNING + timedelta(seconds=group["seq"])


# ------------------------------------------------------------------------------------------------------ groups


def news(seq: int, **people: int) -> News:
    return News(f"c:{seq}", seq, f"m{seq}", BEGINNING + timedelta(seconds=seq), people)


def who(groups: list[Group]) -> list[tuple[list[str], int, int]]:
    return [(group["people"], group["seq"], group["count"]) for group in groups]


def test_who_is_alike_is_one_group_and_who_has_read_it_begins_another() -> None:
    first = follow("message", [], [news(1, alice=0, bob=0, carol=0)], BEGINNING)
    assert first is not None
    assert who(first.groups) == [(["alice", "bob", "carol"], 1, 1)]
    second = follow("message", first.groups, [news(2, alice=1, bob=0, carol=0)], BEGINNING)
    assert second is not None
    assert who(second.groups) == [(["alice"], 2, 1), (["bob", "carol"], 2, 2)]
    assert who(second.ended) == [(["alice"], 1, 1)]
    # Once all have read it, all are alike again.
    third = follow("message", second.groups, [news(3, alice=2, bob=2, carol=2)], BEGINNING)
    assert third is not None
    assert who(third.groups) == [(["alice", "bob", "carol"], 3, 1)]
    assert who(third.ended) == [(["alice"], 2, 1), (["bob", "carol"], 2, 2)]


def test_what_is_counted_changes_nothing() -> None:
    first = follow("message", [], [news(1, bob=0), news(1, bob=0)], BEGINNING)
    assert first is not None
    assert who(first.groups) == [(["bob"], 1, 1)]
    assert follow("message", first.groups, [news(1, bob=0)], BEGINNING) is None
    assert follow("message", first.groups, [news(1, bob=1)], BEGINNING) is None


def test_what_is_over_goes_when_something_follows() -> None:
    first = follow("message", [], [news(1, alice=0, bob=0)], BEGINNING)
    assert first is not None
    second = follow("message", first.groups, [news(9, bob=0)], BEGINNING + timedelta(seconds=5))
    assert second is not None
    assert who(second.groups) == [(["bob"], 9, 2)], "Alice's is as old as is kept"


def test_each_who_was_added_is_told_of_it_once() -> None:
    added = [News(f"c:{name}", 1, None, BEGINNING, {"bob": 0}) for name in ("one", "two")]
    first = follow("added", [], added[:1], BEGINNING)
    assert first is not None
    second = follow("added", first.groups, added[1:], BEGINNING)
    assert second is not None
    assert who(second.groups) == [(["bob"], 1, 2)]
    for again in added:
        assert follow("added", second.groups, [again], BEGINNING) is None
