"""A database pair: two PostgreSQL servers of one environment, and what is decided about them.

Invariant: which server is the primary is what the servers themselves say, never what a name or a file says.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.errors import PermanentError

Node = Literal["a", "b"]
NODES: tuple[Node, Node] = ("a", "b")
#: How many TCP ports a pair takes, one after the other.
PORTS = 5
#: The database that holds the environment's data, and the role that owns it.
DATABASE = "app"
#: Who may come: the superuser for flows alone, the owner of the data, the standby, who only reads, and the probe.
Role = Literal["postgres", "app", "replicator", "backup", "probe"]
SUPERUSER: Role = "postgres"
ROLES: tuple[Role, ...] = ("postgres", "app", "replicator", "backup", "probe")


def other(node: Node) -> Node:
    """The server beside it."""
    return "b" if node == "a" else "a"


class PairPorts(BaseModel):
    """Where what listens: the servers, the gateway that clients use, and the link's two ends."""

    model_config = ConfigDict(frozen=True)

    gateway: int
    a: int
    b: int
    link_to_a: int
    link_to_b: int

    @classmethod
    def from_first(cls, first: int) -> "PairPorts":
        """Five ports in a row."""
        return cls(gateway=first, a=first + 1, b=first + 2, link_to_a=first + 3, link_to_b=first + 4)

    def of(self, node: Node) -> int:
        """The server's own port."""
        return self.a if node == "a" else self.b

    def link_to(self, node: Node) -> int:
        """Where the other server finds it: with the delay, and gone where the link is cut."""
        return self.link_to_a if node == "a" else self.link_to_b


class PairSpec(BaseModel):
    """What a pair should be. `link_delay_ms` is added to each direction between the two servers."""

    model_config = ConfigDict(frozen=True)

    region: str
    recovery_region: str
    is_synchronous: bool = False
    link_delay_ms: int = 0
    example_rows: int = 0


class PairRecord(BaseModel):
    """What is written down of a pair: where it listens, what it is to be, which run brought it, and how far it came.

    `is_ready` once it was verified: from then on it holds data. `archive_prefix` is where its WAL is in the vault.
    """

    model_config = ConfigDict(frozen=True)

    environment: str
    host: str
    ports: PairPorts
    spec: PairSpec
    run_id: str
    is_ready: bool = False
    filled_rows: int | None = None
    system_identifier: str = ""
    archive_prefix: str = ""

    def region_of(self, node: Node) -> str:
        """The region that a server stands for."""
        return self.spec.region if node == "a" else self.spec.recovery_region


class NodeState(BaseModel):
    """One server as it answers. What it did not answer is None; `lsn` is a position in the WAL, in bytes.

    `is_streaming`: a standby that receives; believe a heartbeat row rather than this. `lag_seconds`: of a standby,
    since the newest transaction that it has applied; 0 where it has applied all that it received.
    """

    model_config = ConfigDict(frozen=True)

    node: Node
    is_running: bool = False
    is_fenced: bool = False
    is_primary: bool | None = None
    timeline: int | None = None
    lsn: int | None = None
    is_streaming: bool = False
    lag_seconds: float | None = None
    synchronous_standbys: str = ""


class PairState(BaseModel):
    """Both servers, where the gateway leads, and the link."""

    model_config = ConfigDict(frozen=True)

    nodes: tuple[NodeState, NodeState]
    gateway_to: Node | None = None
    is_cut: bool = False
    delay_ms: int = 0

    def of(self, node: Node) -> NodeState:
        """One of the servers."""
        return self.nodes[NODES.index(node)]

    @property
    def primaries(self) -> tuple[NodeState, ...]:
        """The servers that take writes: one, none while there is an outage, two never."""
        return tuple(one for one in self.nodes if one.is_primary)

    @property
    def is_whole(self) -> bool:
        """One primary that the gateway leads to, and a standby that streams from it on the same timeline."""
        if len(self.primaries) != 1 or self.is_cut:
            return False
        primary = self.primaries[0]
        standby = self.of(other(primary.node))
        is_following = standby.is_primary is False and standby.is_streaming and standby.timeline == primary.timeline
        return is_following and self.gateway_to == primary.node


def find_primary(environment: str, state: PairState) -> Node:
    """The one server that takes writes. PermanentError where there is none, or more than one."""
    names = ", ".join(one.node for one in state.primaries)
    if not names:
        raise PermanentError(
            f"{environment}: no server of its database pair is a primary that answers.",
            "`make status` shows which of them run. `make up` starts what stands; a lost primary needs a failover.",
        )
    if len(state.primaries) > 1:
        raise PermanentError(
            f"{environment}: both servers of its database pair take writes ({names}).",
            "Fence the one that the gateway does not lead to: what was written there is not on the other.",
        )
    return state.primaries[0].node
