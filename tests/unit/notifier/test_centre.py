"""Which numbers an entry of the notification centre counts; and that sharing a document changes nobody's entries."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from contracts.notifying import Kind
from services.notifier.centre import EVENTS, MARKS, Group, News, State, follow, is_marked, mark

BEGINNING = datetime(2026, 1, 31, tzinfo=UTC)
PEOPLE = ("alice", "bob", "carol", "dave")
SEQS = st.integers(1, MARKS)
KEPT = timedelta(days=30)


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
    over: list[tuple[int, int]] = field(default_factory=list)

    def hear(self, seqs: set[int]) -> None:
        if not seqs:
            return
        fresh = sorted(seqs)
        if self.going_on is not None and self.going_on[0] > self.read and not self.is_marked:
            seq, count = self.going_on
            self.going_on = max(seq, fresh[-1]), count + len(fresh)
            return
        if self.going_on is not None:
            self.over.append(self.going_on)
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
    counted: set[int] = set()  # for all: whom a message is news to is known when it first comes
    state: State | None = None
    over: dict[str, list[tuple[int, int]]] = {user: [] for user in PEOPLE}
    for step in steps:
        match step:
            case Read(user, up_to):
                people[user].read = max(people[user].read, up_to)
            case Marked(user):
                if state is not None and people[user].going_on is not None and not people[user].is_marked:
                    people[user].is_marked = True
                    (mine,) = [group for group in going_on(state) if user in group["people"]]
                    mine["read"].append({"user": user, "at": BEGINNING})
            case Heard(messages):
                following = follow("message", state, heard(step, people), KEPT, BEGINNING)
                for user, alone in people.items():
                    alone.hear({seq for seq, users in messages if user in users and seq not in counted})
                assert (following is None) == all(seq in counted for seq, _ in messages)
                counted.update(seq for seq, _ in messages)
                if following is not None:
                    state = following.state
                    for user, seq, count in each([group for group in state["groups"] if group["over"]]):
                        over[user].append((seq, count))
        now = each(going_on(state))
        assert len({user for user, _, _ in now}) == len(now), "nobody is in two groups"
        assert {user: (seq, count) for user, seq, count in now} == {
            user: alone.going_on for user, alone in people.items() if alone.going_on
        }
        assert over == {user: alone.over for user, alone in people.items()}
        for group in state["groups"] if state else ():
            readers = {mark["user"] for mark in group["read"]}
            assert readers == set(group["people"]) if group["over"] else readers <= set(group["people"])
            assert group["messageId"] == f"m{group['seq']}"
            assert group["at"] == BEGINNING + timedelta(seconds=group["seq"])


def going_on(state: State | None) -> list[Group]:
    return [group for group in state["groups"] if not group["over"]] if state else []


def each(groups: list[Group]) -> list[tuple[str, int, int]]:
    return [(user, group["seq"], group["count"]) for group in groups for user in group["people"]]


# ------------------------------------------------------------------------------------------------------ groups


def after(state: State | None, *some: News, kind: Kind = "message", moment: datetime = BEGINNING) -> State:
    following = follow(kind, state, some, KEPT, moment)
    assert following is not None
    return following.state


def news(seq: int, **people: int) -> News:
    return News(f"c:{seq}", seq, f"m{seq}", BEGINNING + timedelta(seconds=seq), people)


def who(state: State, *, over: bool = False) -> list[tuple[list[str], int, int]]:
    return [(group["people"], group["seq"], group["count"]) for group in state["groups"] if group["over"] == over]


def test_who_is_alike_is_one_group_and_who_has_read_it_begins_another() -> None:
    first = after(None, news(1, alice=0, bob=0, carol=0))
    assert who(first) == [(["alice", "bob", "carol"], 1, 1)]
    second = after(first, news(2, alice=1, bob=0, carol=0))
    assert who(second) == [(["alice"], 2, 1), (["bob", "carol"], 2, 2)]
    assert who(second, over=True) == [(["alice"], 1, 1)]
    # Once all have read it, all are alike again.
    third = after(second, news(3, alice=2, bob=2, carol=2))
    assert who(third) == [(["alice", "bob", "carol"], 3, 1)]
    assert who(third, over=True) == [(["alice"], 2, 1), (["bob", "carol"], 2, 2)]


def test_people_who_all_write_and_read_are_alike_again_and_again() -> None:
    people = [f"user {n}" for n in range(20)]
    state, read = None, 0
    for seq in range(1, 200):
        others = {user: read for user in people if user != people[seq % len(people)]}
        state = after(state, news(seq, **others))
        read = seq
        assert len(who(state)) <= 2
        assert len(who(state, over=True)) <= 2


def test_what_is_counted_changes_nothing() -> None:
    first = after(None, news(1, bob=0), news(1, bob=0))
    assert who(first) == [(["bob"], 1, 1)]
    assert follow("message", first, [news(1, bob=0)], KEPT, BEGINNING) is None
    assert follow("message", first, [news(1, bob=1)], KEPT, BEGINNING) is None


def test_what_is_kept_no_longer_goes_when_something_follows() -> None:
    first = after(None, news(1, alice=0, bob=0))
    second = after(first, news(9, bob=0), moment=BEGINNING + timedelta(seconds=5) + KEPT)
    assert who(second) == [(["bob"], 9, 2)], "Alice's is older than is kept"


def test_each_addition_is_counted_once_in_whatever_order_they_come() -> None:
    added = [News(f"c:{n}", 1, None, BEGINNING + timedelta(seconds=n), {"bob": 0}) for n in range(EVENTS)]
    state = after(None, added[1], kind="added")
    state = after(state, added[2], added[1], kind="added")
    assert who(state) == [(["bob"], 1, 2)]
    state = after(state, added[0], kind="added")
    (group,) = state["groups"]
    assert (group["count"], group["at"]) == (3, added[2].at), "what comes late is counted, and not shown"
    # One that was read is over, and comes again in vain.
    read = added[3]._replace(people={"bob": 1}, seq=2)
    state = after(state, read, kind="added")
    assert (who(state), who(state, over=True)) == ([(["bob"], 2, 1)], [(["bob"], 1, 3)])
    for again in added[:4]:
        assert follow("added", state, [again], KEPT, BEGINNING) is None
