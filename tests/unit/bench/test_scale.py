"""The model of docs/scale.md: by hand where it can be, and else by what must hold whatever the costs are."""

import itertools
import random
from dataclasses import replace
from math import inf

import pytest

from bench.report import keep
from bench.scale import costs as measured
from bench.scale import model, sizes, tables
from bench.scale.__main__ import DOCUMENT, filled
from bench.scale.costs import KINDS, Costs, MissingFigure, Stage, from_figures, read
from bench.scale.model import AS_IT_IS, Machines, Setup, evaluate, limits
from bench.scale.people import DAY, Kind, Life, means, rooms, sample, spread
from bench.scale.people import KINDS as CONVERSATIONS

# One µs for everything, and batches that cost nothing.
ONE = Costs(
    stages={kind: Stage(1.0, 0.0) for kind in KINDS},
    frame=1.0,
    together=1.0,
    event=1.0,
    notice=1.0,
    typing=1.0,
    typing_broker=1.0,
    member=dict.fromkeys(KINDS, 0.0),
    change=dict.fromkeys(KINDS, 0.0),
    delivery=1.0,
    stream=1e4,
    connect=0.0,
    socket=16 * 1024,
    stored=300.0,
    indexed=200.0,
    turn=0.01,
    busy=1000.0,
    several=1.0,
)
# Two people who are always here and look, on one device each, and only send.
PAIRS = (Kind("pair", 1.0, 2, 2, 1.0, 1.0),)
SENDING = Life(1.0, 1.0, 40.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 20.0, PAIRS)
SETUPS = (AS_IT_IS, tables.EVERYTHING, Setup(cells=10), Setup(addressed=True, shards=4, clusters=3))
FIGURES = read()
COSTS = from_figures(FIGURES)


def _figures(costs: Costs) -> dict[str, float]:
    """What the bench would measure of a system with these costs, with batches of 5 and of 10."""
    figures = {
        "room of 500: gateway CPU µs a frame, at a trickle": costs.frame + costs.stages["gateway"].each(1) / 500,
        "room of 500: gateway CPU µs a frame, flat out": costs.together,
        "messages a batch, one persister, 500/s": 5.0,
        "messages a batch, one persister, 1,000/s": costs.turn * 1000,
        "gateway CPU µs a message elsewhere, rooms of 1": costs.event,
        "gateway CPU µs a message elsewhere, rooms of 2": costs.event + costs.notice,
        "gateway: CPU µs an item of typing elsewhere": costs.typing,
        "rabbitmq: CPU µs an item of typing elsewhere": costs.typing_broker,
        "floor: AMQP delivery to one more queue of a fan-out, broker's CPU µs": costs.delivery,
        "floor: AMQP messages/s, 100 in flight": costs.stream,
        "gateway: CPU µs a connect (authenticated and joined)": costs.connect,
        "KiB an idle socket": costs.socket / 1024,
        "a stored message: bytes as it is": costs.stored,
        "a stored message: bytes in indexes": costs.indexed,
        "acked/s, 8 in flight": costs.busy,
        "2 persisters to what their batches explain: ratio": costs.several,
    }
    for kind in KINDS:
        gateway = kind == "gateway"
        stage, each = costs.stages[kind], costs.member[kind] * (2 if gateway else 1)
        figures |= {
            f"{kind}: CPU µs a message, 8 in flight": stage.message + (10 * costs.together if gateway else 0),
            f"{kind}: CPU µs a message, one persister, 500/s": stage.each(5) + (4 * costs.frame if gateway else 0),
            f"channel of 20: {kind}'s CPU µs a message": 1000.0,
            f"channel of 10,000: {kind}'s CPU µs a message": 1000 + (10_000 - 20) * each,
            f"1,000 reactions on one message: {kind}'s CPU µs each": costs.change[kind],
        }
    return figures


# ------------------------------------------------------------------------------------------------------------ costs


def test_costs_are_found_again_in_what_they_lead_to() -> None:
    costs = replace(
        ONE,
        stages={kind: Stage(100.0 + n, 1000.0 * n) for n, kind in enumerate(KINDS)},
        member={kind: 0.25 * n for n, kind in enumerate(KINDS)},
        frame=20.0,
        together=4.0,
        several=1.4,
    )
    found = from_figures(_figures(costs))
    assert found.frame == pytest.approx(20)
    assert {kind: stage.message for kind, stage in found.stages.items()} == pytest.approx(
        {kind: stage.message for kind, stage in costs.stages.items()}
    )
    assert {kind: stage.batch for kind, stage in found.stages.items()} == pytest.approx(
        {kind: stage.batch for kind, stage in costs.stages.items()}
    )
    assert found.member == pytest.approx(costs.member)
    assert replace(found, stages=costs.stages, member=costs.member, frame=20.0) == costs


def test_a_report_that_lacks_something_says_what() -> None:
    figures = _figures(ONE)
    del figures["KiB an idle socket"]
    with pytest.raises(MissingFigure, match="KiB an idle socket"):
        from_figures(figures)


def test_a_report_keeps_what_other_runs_measured(tmp_path) -> None:
    file = tmp_path / "figures.json"
    keep(file, "first", {"a": 1.0, "b": 2.00004})
    keep(file, "second", {"b": 3.0, "c, µs": 4.0})
    assert read(file) == {"a": 1.0, "b": 3.0, "c, µs": 4.0}
    assert '"measured": "first"' in file.read_text(encoding="utf-8")


# ----------------------------------------------------------------------------------------------------------- people


def test_everybody_of_a_room_is_told_once_on_each_device() -> None:
    drawn = sample(PAIRS, 1e6, times=10)
    found = means(drawn, devices=3.0)
    assert (found.told, found.sockets, found.looking, found.watching) == pytest.approx((1, 6, 1, 6))


def test_frames_are_those_of_all_rooms_together() -> None:
    life = replace(SENDING, kinds=CONVERSATIONS, devices=1.4)
    drawn = sample(CONVERSATIONS, 1e6)
    each = sum((1 + room.here) * 1.4 * room.weight for room in drawn) / sum(room.weight for room in drawn)
    outcome = evaluate(1e6, ONE, life)
    assert outcome.frames == pytest.approx(outcome.messages * (1 + each))  # and `message_sent`


def test_no_conversation_has_more_members_than_there_are_people() -> None:
    assert max(room.members for room in sample(CONVERSATIONS, 300)) == 300
    assert all(0 <= room.looking <= room.here < room.members for room in sample(CONVERSATIONS, 1e6))


def test_a_sample_is_the_same_each_time_and_its_mean_is_that_of_the_sizes() -> None:
    assert sample(CONVERSATIONS, 1e6) == sample(CONVERSATIONS, 1e6)
    # Of sizes that are spread evenly over their logarithm the mean is (largest - smallest) / ln(largest / smallest).
    crowd = (Kind("a crowd", 1.0, 5_000, 100_000, 0.25, 0.05),)
    assert rooms(Life(kinds=crowd), 1e6).told == pytest.approx(95_000 / 2.9957, rel=0.05)


def test_places_that_sockets_touch() -> None:
    assert spread(1, 10) == pytest.approx(1)
    assert spread(2, 2) == pytest.approx(1.5)
    assert spread(1e6, 10) == pytest.approx(10)
    chance = random.Random(1)
    tries = [len({chance.randrange(20) for _ in range(15)}) for _ in range(20_000)]
    assert spread(15, 20) == pytest.approx(sum(tries) / len(tries), rel=0.01)


# ------------------------------------------------------------------------------------------------------------ model


def test_a_small_case_by_hand() -> None:
    outcome = evaluate(864_000, ONE, SENDING)
    assert outcome.messages == pytest.approx(2000)  # 864,000 people, 40 a day, 5 times the mean of 86,400 s
    assert outcome.frames == pytest.approx(6000)  # an answer and two deliveries for each
    assert outcome.gateways == pytest.approx(43.2)  # 864,000 sockets, 20,000 each
    assert outcome.bound == "sockets"
    # Each gateway reads 2,000 messages, 2,000 notices and 38,400 renewals of presence, at 1, 1 and 1.5 µs.
    reading = 2000 + 2000 + 864_000 / 22.5 * 1.5
    assert outcome.used[model.READING] == pytest.approx(reading / 300_000)  # half of a core that is full at 0.6
    # All together send 2,000 messages and 6,000 frames, and answer 28,800 heartbeats.
    useful = 2000 + 6000 + 864_000 / 30
    assert outcome.cores["gateway"] == pytest.approx((43.2 * reading + useful) / 1e6)
    assert outcome.cores["persister"] == pytest.approx(0.002)
    assert outcome.cores["mongodb"] == pytest.approx(3 * 0.002)
    assert outcome.year == pytest.approx(864_000 * 40 * 365 * 500)
    assert outcome.used[model.STREAM] == pytest.approx(2000 / 6000)
    assert outcome.used[model.DATABASE_DISK] == pytest.approx(outcome.year / 8e12)


def test_gateways_are_bound_by_their_cores_where_frames_are_dear() -> None:
    outcome = evaluate(864_000, replace(ONE, frame=1000.0), SENDING)
    assert outcome.bound == "CPU"
    load = outcome.cores["gateway"] / outcome.gateways
    assert load == pytest.approx(Machines().full, rel=1e-3)


def test_no_number_of_gateways_helps_when_reading_alone_fills_one() -> None:
    dear = replace(ONE, event=400.0)
    assert evaluate(864_000, dear, SENDING).gateways == inf
    assert evaluate(864_000, dear, SENDING, Setup(addressed=True)).gateways < inf


@pytest.mark.parametrize("setup", SETUPS, ids=str)
def test_more_people_never_take_less(setup) -> None:
    outcomes = [evaluate(10**power, COSTS, setup=setup) for power in range(3, 10)]
    for less, more in itertools.pairwise(outcomes):
        assert more.frames > less.frames
        assert more.gateways >= less.gateways
        for resource in less.used:
            # Where items are addressed a gateway reads less as there are more of them.
            if not (setup.addressed and resource == model.READING):
                assert more.used[resource] >= less.used[resource], resource


def test_a_limit_is_where_it_is_used_up() -> None:
    for resource, people in limits(COSTS).items():
        assert evaluate(people * 0.85, COSTS).used[resource] < 1 <= evaluate(people * 1.15, COSTS).used[resource], (
            resource
        )


@pytest.mark.parametrize("setup", tables.STEPS[1:-1], ids=lambda setup: setup.name)
def test_a_switch_uses_no_resource_more(setup) -> None:
    before = tables.STEPS[tables.STEPS.index(setup) - 1]
    now, then = (evaluate(1e6, COSTS, setup=one) for one in (setup, before))
    assert all(part <= then.used[resource] * (1 + 1e-9) for resource, part in now.used.items())
    assert any(part < then.used[resource] * 0.99 for resource, part in now.used.items())
    assert now.frames == then.frames  # people are told the same, whoever carries it


def test_a_cell_is_a_palabre_of_its_own() -> None:
    ten = evaluate(1e6, COSTS, setup=Setup(cells=10, apart=0.0))
    one = evaluate(1e5, COSTS)
    assert ten.used == one.used
    assert ten.all_cores == pytest.approx(10 * one.all_cores)
    assert (ten.gateways, ten.frames) == pytest.approx((10 * one.gateways, 10 * one.frames))


def test_shards_and_clusters_divide_only_what_is_theirs() -> None:
    whole, cut = evaluate(1e6, COSTS), evaluate(1e6, COSTS, setup=Setup(shards=4, clusters=2))
    for resource, part in whole.used.items():
        by = 4 if resource.startswith("MongoDB") else 2 if resource in tables.DIVIDED["clusters"] else 1
        assert cut.used[resource] == pytest.approx(part / by), resource
    assert cut.all_cores == whole.all_cores


def test_what_is_addressed_reaches_each_gateway_with_somebody_to_tell() -> None:
    outcome = evaluate(1e8, COSTS, setup=tables.EVERYTHING)
    there = rooms(Life(), 1e8)
    assert outcome.heard * outcome.gateways == pytest.approx(there.gateways(outcome.gateways))
    assert outcome.heard * outcome.gateways <= there.sockets


def test_as_many_shards_and_clusters_as_it_takes() -> None:
    for people in (1e5, 1e6, 1e7, 1e8):
        assert evaluate(people, COSTS, setup=tables.enough(people, COSTS, Life(), tables.EVERYTHING)).suffices


def test_messages_a_second_are_those_of_a_day() -> None:
    life = Life()
    assert life.messages(1000) * DAY / life.peak == pytest.approx(1000 * life.a_day)


def test_bytes_of_a_notice_are_its_people() -> None:
    # An id of 32 characters, in quotes, with a count and a comma.
    assert pytest.approx(len('"":3,') + 32, abs=0.5) == sizes.TOLD
    assert sizes.CREATED > len(sizes.BODY) > len(sizes.CONTENT)


# -------------------------------------------------------------------------------------------------- the document


def test_the_document_has_the_tables_of_the_measured_costs() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert filled(document, tables.printed(tables.tables(COSTS, FIGURES))) == document


def test_a_table_without_a_place_is_found() -> None:
    document = "<!-- table: one -->\nold\n<!-- end -->\n"
    assert filled(document, {"one": "new"}) == "<!-- table: one -->\nnew\n<!-- end -->\n"
    with pytest.raises(ValueError, match="two"):
        filled(document, {"one": "new", "two": "new"})


def test_the_model_is_near_what_was_measured() -> None:
    compared = [(said, FIGURES[name]) for _, name, said in tables.predictions(COSTS, FIGURES) if name in FIGURES]
    assert len(compared) >= 15
    assert all(0.5 < said / seen < 2 for said, seen in compared)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (inf, "none suffices"), (0.01234, "0.012"), (7.04, "7.0"), (99.6, "100"), (1234, "1,200"),
     (10_400, "10 k"), (996_000, "1.0 M"), (1.74e6, "1.7 M"), (2.34e8, "230 M")],
)  # fmt: skip
def test_numbers_have_two_digits(value, text) -> None:
    assert tables.rough(value) == text


def test_costs_by_hand_use_what_the_bench_loads() -> None:
    # The rooms of the bench are written once more in `costs`; they must stay the same.
    from bench import chat, crowd, persisters

    assert (measured.ROOMS, measured.ROOM) == (chat.ROOMS, chat.MEMBERS)
    assert (measured.CALM_ROOM, measured.BUSY, measured.CALM) == (
        persisters.MEMBERS,
        persisters.RATE,
        persisters.RATE / 2,
    )
    assert measured.FEW == crowd.PRESENT
