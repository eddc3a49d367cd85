"""From what people do and what each step costs to processes, cores and bytes, and to what is full first.

Every gateway gets every item of the fan-out: that is the topology as it is. The rest is multiplication, but for three
things that hang together and are settled by turns: how many gateways there are, how long batches are, and how much of
what is told concerns a gateway.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf, log

from bench.scale import costs as measured
from bench.scale import sizes
from bench.scale.costs import Costs
from bench.scale.people import Life, Rooms, rooms, spread
from contracts.limits import PRESENCE_TOGETHER
from services.gateway.typing import ROUND

US = 1e-6
PING = 30.0  # seconds between two heartbeats of a socket
RENEWED = 22.5  # seconds, in the mean, after which a gateway says again that somebody is there
NOTIFIER_ROUNDS = 10.0  # a second, each of which tells all gateways in one AMQP message
GATEWAY_ROUND = 0.02  # seconds that commands wait for others, to share an AMQP message with those of their partition
PIECE = 3000  # bytes of an AMQP message whose delivery was measured
COPIES = 3  # of everything in RabbitMQ and MongoDB
LOOKS = 2  # of the notifier at an event, each by way of a queue
NOTES = 2  # beside a message: of the conversation's activity, and of its sender's reading
VAIN = 0.5  # of a gateway's core that may go for what concerns others: beyond, more gateways carry little more
HOT = 30  # days whose messages are read and written all the time
PARTITIONS, MOST_PARTITIONS = 16, 100  # as set at first, and the most that can be set
MOST_GATEWAYS, CLOSE = 1e7, 1.0001
FEWEST_PEOPLE, MOST_PEOPLE, STEP = 1e4, 1e10, 1.5


@dataclass(frozen=True)
class Machines:
    """What one of each may be given. Assumptions; `full` is the share of a CPU or a line above which it counts as full.

    Attributes:
        sockets, gateway_bytes: of a gateway, which is one process and so has one core.
        broker_cores, line: of a node of RabbitMQ, of which there are three; its line in bytes a second.
        database_cores, cache, disk: of a member of MongoDB, in bytes.
    """

    full: float = 0.6
    sockets: int = 20_000
    gateway_bytes: float = 2 * 2**30
    broker_cores: int = 16
    line: float = 10e9 / 8
    database_cores: int = 32
    cache: float = 128e9
    disk: float = 8e12


@dataclass(frozen=True)
class Setup:
    """What is switched. As it is: nothing.

    Attributes:
        addressed: items go only to the gateways that have somebody to tell.
        watched: who is here is told only to the gateways where somebody watches them.
        shards: of MongoDB, by `conversationId`.
        clusters: of RabbitMQ, by partition.
        cells: whole Palabres, each with its own people.
        apart: share of messages that concern people of one other cell as well.
    """

    name: str = "as it is"
    addressed: bool = False
    watched: bool = False
    shards: int = 1
    clusters: int = 1
    cells: int = 1
    apart: float = 0.05


AS_IT_IS = Setup()


@dataclass(frozen=True)
class Item:
    """One kind of what is told to gateways: so many a second, each so many bytes, and what reading one costs in vain."""

    name: str
    rate: float
    size: float
    cost: float


@dataclass(frozen=True)
class Outcome:
    """What it takes, at the busiest moment. What is counted in processes, cores and bytes is of all cells together.

    Attributes:
        people: all, and `connected` of them.
        messages: stored a second. `frames`: to sockets, a second.
        gateways: processes; `bound` says by what; infinitely many are none that suffice.
        persisters, notifiers: processes.
        cores: by kind of process.
        heard: share of what is told that one gateway gets.
        items: a second, told to gateways. `deliveries`: AMQP messages a second to their queues.
        node_bytes: a second out of one node of RabbitMQ.
        writes: to MongoDB, a second, in one shard; `year`: bytes of one copy of a year's messages, with indexes.
        used: by resource, what of it is used; above 1 it is not enough.
    """

    people: float
    connected: float
    messages: float
    frames: float
    gateways: float
    bound: str
    persisters: int
    notifiers: int
    cores: dict[str, float]
    heard: float
    items: float
    deliveries: float
    node_bytes: float
    writes: float
    year: float
    used: dict[str, float]

    @property
    def all_cores(self) -> float:
        """Of all processes."""
        return sum(self.cores.values())

    @property
    def suffices(self) -> bool:
        """Whether nothing is used up."""
        return max(self.used.values()) <= 1


# The resources, each of which more processes of the same kind do not widen.
READING = "half of a gateway's core, by reading what concerns others"
PRESENCE_MEMORY = "a gateway's memory, by who is here anywhere"
PARTITION_COUNT = f"persisters, {MOST_PARTITIONS} partitions"
BROKER_CPU = "RabbitMQ's cores, three nodes"
BROKER_LINE = "the line of a node of RabbitMQ"
STREAM = "the stream of events, one leader"
DATABASE_CPU = "MongoDB's cores, the primary"
DATABASE_CACHE = f"MongoDB's cache, the indexes of {HOT} days"
DATABASE_DISK = "MongoDB's disk, a year"


@dataclass(frozen=True)
class Demand:
    """What the people of one cell ask of it, a second at the busiest moment.

    Attributes:
        there: the means of the conversations that they write into.
        messages: stored. `told`: those and the ones of other cells that concern people here.
        changes: marks of reading and reactions: commands, events and items like messages.
        typing, presence: items of typing; changes of somebody's presence.
        frames: to sockets.
    """

    life: Life
    there: Rooms
    messages: float
    told: float
    connected: float
    sockets: float
    changes: float
    typing: float
    presence: float
    frames: float

    @property
    def commands(self) -> float:
        """To persisters; each becomes an event."""
        return self.messages + self.changes


@dataclass(frozen=True)
class Front:
    """The gateways of one cell: how many, why, whether they suffice, and µs a second of one and of all of them."""

    count: float
    bound: str
    suffice: bool
    vain: float
    useful: float
    heard: float
    watched: float
    known: float  # what all who are here take of each one's memory, of half of it


@dataclass(frozen=True)
class Carried:
    """What RabbitMQ does in one cell: µs and deliveries to gateways' queues a second, bytes a second out of a node."""

    cost: float
    deliveries: float
    node_bytes: float


def evaluate(
    users: float, costs: Costs, life: Life | None = None, setup: Setup = AS_IT_IS, machines: Machines | None = None
) -> Outcome:
    """What it takes for so many people."""
    life, machines, cells = life or Life(), machines or Machines(), setup.cells
    own = users / cells
    demand = _demand(own, life, setup)
    items = _items(costs, setup, demand)
    full = machines.full / US  # µs of a core in a second

    persisters, length, persisting = _persisters(costs, demand, full)
    notifying = _each(costs, "notifier", demand, length)
    notifiers = max(2, ceil(notifying / full))
    front = _front(costs, setup, demand, items, machines)
    carried = _carried(costs, setup, demand, items, front, length, notifiers)
    database = _each(costs, "mongodb", demand, length)
    a_day = own * life.a_day
    year = a_day * 365 * (costs.stored + costs.indexed)

    return Outcome(
        people=users,
        connected=demand.connected * cells,
        messages=demand.messages * cells,
        frames=demand.frames * cells,
        gateways=front.count * cells if front.suffice else inf,
        bound=front.bound,
        persisters=persisters * cells,
        notifiers=notifiers * cells,
        cores={
            "gateway": (front.vain * front.count + front.useful) * US * cells,
            "persister": persisting * US * cells,
            "notifier": notifying * US * cells,
            "rabbitmq": carried.cost * US * cells,
            "mongodb": database * COPIES * US * cells,
        },
        heard=front.heard,
        items=sum(item.rate for item in items) * cells,
        deliveries=carried.deliveries * cells,
        node_bytes=carried.node_bytes,
        writes=(demand.commands + NOTES * demand.messages) / setup.shards,
        year=year * cells,
        used={
            READING: front.vain / (VAIN * full),
            PRESENCE_MEMORY: front.known,
            PARTITION_COUNT: persisters / MOST_PARTITIONS,
            BROKER_CPU: carried.cost / setup.clusters / (COPIES * machines.broker_cores * full),
            BROKER_LINE: carried.node_bytes / (machines.line * machines.full),
            STREAM: demand.commands / setup.clusters / (costs.stream * machines.full),
            DATABASE_CPU: database / setup.shards / (machines.database_cores * full),
            DATABASE_CACHE: a_day * HOT * costs.indexed / setup.shards / machines.cache,
            DATABASE_DISK: year / setup.shards / machines.disk,
        },
    )


def _demand(own: float, life: Life, setup: Setup) -> Demand:
    there, messages = rooms(life, own), life.messages(own)
    told = messages * (1 + (setup.apart if setup.cells > 1 else 0.0))
    connected = own * life.connected
    reactions, typing = told * life.reactions, told * life.typing
    presence = connected * life.changes / 3600
    return Demand(
        life=life,
        there=there,
        messages=messages,
        told=told,
        connected=connected,
        sockets=life.sockets(own),
        changes=told * there.looking * life.marks + reactions,
        typing=typing,
        presence=presence,
        frames=messages  # the answers
        + told * (there.sockets + there.receipts * life.marks)
        + (reactions + typing) * there.watching
        + presence * life.watchers,
    )


def _items(costs: Costs, setup: Setup, demand: Demand) -> list[Item]:
    """What gateways are told, a second. Reading in vain costs the header; those whom it concerns pay by the frame."""
    told, there, life = demand.told, demand.there, demand.life
    notice = sizes.NOTICE + sizes.TOLD * there.told / there.notices
    return [
        Item("message", told, sizes.CREATED, costs.event),
        Item("notice", told * there.notices, notice, costs.notice),
        Item("mark", told * there.looking * life.marks, sizes.READ, costs.event),
        Item("change", told * life.reactions, sizes.CHANGED, costs.event),
        Item("typing", demand.typing, sizes.TYPING, costs.typing),
        Item("presence", demand.connected / RENEWED, sizes.HERE, measured.PRESENCE_NAME),
    ]


def _each(costs: Costs, kind: str, demand: Demand, length: float) -> float:
    """µs a second of all of this kind: for messages in batches of this length, their members, and changes."""
    message = costs.stages[kind].each(length) + demand.there.told * costs.member[kind]
    return demand.messages * message + demand.changes * costs.change[kind]


# --------------------------------------------------------------------------------------------------------- gateways


def _front(costs: Costs, setup: Setup, demand: Demand, items: list[Item], machines: Machines) -> Front:
    life, there, full = demand.life, demand.there, machines.full / US

    def vain(gateways: float) -> float:
        """µs a second of one gateway for all items that it gets."""
        heard, watched = _heard(setup, demand, gateways)
        reading = sum(item.rate * item.cost * (watched if item.name == "presence" else heard) for item in items)
        return reading + demand.told * there.told * costs.member["gateway"] * heard

    def useful(gateways: float) -> float:
        """µs a second of all gateways together."""
        batch = max(1.0, demand.messages / gateways * measured.GATEWAYS * costs.turn)
        commands = demand.messages * costs.stages["gateway"].each(batch) + demand.changes * costs.change["gateway"]
        frames = (demand.frames + demand.sockets / PING) * costs.frame
        return commands + frames + demand.sockets * life.connects / 3600 * costs.connect

    known = 0.0 if setup.watched else demand.connected * measured.PRESENCE_BYTES
    roomy = machines.gateway_bytes - measured.GATEWAY_BYTES
    least = {"one for fail-over": 2.0, "sockets": demand.sockets / machines.sockets}
    if known < roomy / 2:  # else no number of gateways helps
        least["memory"] = demand.sockets * costs.socket / (roomy - known)
    bound = max(least, key=lambda name: least[name])
    count, suffice = _gateways(vain, useful, least[bound], full)
    if count > least[bound] * CLOSE:
        bound = "CPU"
    heard, watched = _heard(setup, demand, count)
    return Front(count, bound, suffice, vain(count), useful(count), heard, watched, known / (roomy / 2))


def _heard(setup: Setup, demand: Demand, gateways: float) -> tuple[float, float]:
    """The share of what is told that one gateway gets: of all that is about a conversation, and of who is here."""
    return (
        demand.there.gateways(gateways) / gateways if setup.addressed else 1.0,
        spread(demand.life.watchers, gateways) / gateways if setup.watched else 1.0,
    )


def _gateways(
    vain: Callable[[float], float], useful: Callable[[float], float], fewest: float, full: float
) -> tuple[float, bool]:
    """How many gateways it takes, at least so many, and whether any number is enough."""

    def enough(count: float) -> bool:
        return vain(count) <= VAIN * full and count * (full - vain(count)) >= useful(count)

    low = high = max(1.0, fewest)
    while not enough(high):
        low, high = high, high * 2
        if high > MOST_GATEWAYS:  # those that would carry what is of use, if they had the other half for it
            return max(1.0, fewest, useful(fewest) / (full * (1 - VAIN))), False
    while high / low > CLOSE:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high, True


# ---------------------------------------------------------------------------------------------- behind the gateways


def _persisters(costs: Costs, demand: Demand, full: float) -> tuple[int, float, float]:
    """How many it takes, at least two; the length of their batches; µs a second of all."""

    def length(count: int) -> float:
        return max(1.0, demand.messages / count * costs.turn)

    def needed(count: int) -> float:
        each = costs.stages["persister"].each(length(count)) * costs.several
        return demand.messages * each + demand.changes * costs.change["persister"]

    count = 2
    while needed(count) > count * full:
        count = max(count + 1, int(needed(count) / full))
    return count, length(count), needed(count)


def _carried(
    costs: Costs, setup: Setup, demand: Demand, items: list[Item], front: Front, length: float, notifiers: int
) -> Carried:
    """RabbitMQ: its cost was measured with two gateways; to more it delivers by the queue, or by the piece."""
    count = front.count
    batches = demand.commands / length + notifiers * NOTIFIER_ROUNDS
    typing = min(demand.typing, count / ROUND)
    presence = count + demand.connected / RENEWED / PRESENCE_TOGETHER
    deliveries = count * ((batches + typing) * front.heard + presence * front.watched)
    told = {item.name: item.rate * item.size for item in items}
    to_each = (sum(told.values()) - told["presence"]) * front.heard + told["presence"] * front.watched
    pieces = max(deliveries, count * to_each / PIECE)
    more = max(0.0, pieces - measured.GATEWAYS * (batches + typing + presence))
    cost = (
        demand.messages * _alone(costs, demand.messages / count)
        + _each(costs, "rabbitmq", demand, length)
        + demand.typing * costs.typing_broker
        + more * costs.delivery
    )
    lasting = demand.commands * (sizes.COMMAND * COPIES + sizes.EVENT * (COPIES - 1))
    looks = demand.messages * sizes.EVENT * LOOKS * COPIES
    return Carried(cost, deliveries, (count * to_each + lasting + looks) / COPIES / setup.clusters)


def _alone(costs: Costs, rate: float) -> float:
    """RabbitMQ's µs more for a message of a gateway that sends so many a second: fewer share an AMQP message then."""

    def shared(rate: float, partitions: int) -> float:
        return max(1.0, rate * GATEWAY_ROUND / partitions)

    then = shared(costs.busy / measured.GATEWAYS, measured.ROOMS)
    return max(0.0, measured.COMMAND * (1 / shared(rate, PARTITIONS) - 1 / then))


# ------------------------------------------------------------------------------------------------ what is full first


def limits(costs: Costs, life: Life | None = None, setup: Setup = AS_IT_IS) -> dict[str, float]:
    """People at which each resource is used up, the scarcest first; infinity where it is not at `MOST_PEOPLE`."""
    found: dict[str, float] = {}
    before: dict[str, float] = {}
    people = FEWEST_PEOPLE
    while people <= MOST_PEOPLE:
        used = evaluate(people, costs, life, setup).used
        for name, part in used.items():
            if part >= 1 and name not in found:
                # Between two steps it is a straight line on a logarithmic scale.
                last = before.get(name, 0.0)
                rise = log(1 / last) / log(part / last) if 0 < last < 1 else 1.0
                found[name] = people * STEP ** (rise - 1)
        before, people = used, people * STEP
    full = {name: found.get(name, inf) for name in before}
    return dict(sorted(full.items(), key=lambda entry: entry[1]))
