"""The cluster a scene invents: which peer holds which replica, and what a request to it meets."""

import time
from dataclasses import dataclass

from testkit.qdrant_double.calls import Json, Refused, internal
from testkit.qdrant_double.collection import Collection
from testkit.qdrant_double.durations import millisecond_stamp, nanosecond_stamp
from testkit.qdrant_double.state import State

TERM = 1
COMMIT = 16
REFUSED = "Tonic status error: code: 'The service is currently unavailable', message: \"tcp connect error\""
EXPIRED = (
    "Timeout error: Deadline Exceeded: code: 'Deadline expired before operation could complete', "
    'message: "Healthcheck timeout 2000ms exceeded"'
)


@dataclass(frozen=True)
class Shard:
    """A shard as this peer sees it: the state of its replica on each peer, and its share of the points."""

    number: int
    replicas: dict[int, str]
    share: float

    @property
    def local(self) -> bool:
        return 0 in self.replicas

    @property
    def remote(self) -> dict[int, str]:
        return {peer: state for peer, state in self.replicas.items() if peer != 0}

    def points(self, total: int) -> int:
        return round(total * self.share)


def peer_id(state: State, number: int) -> int:
    return state.peer + 17 * number


def uri(number: int) -> str:
    return f"http://127.0.0.1:{16421 + number}/"


def enabled(state: State) -> bool:
    return state.scene.peers > 1


def shards(state: State, collection: Collection) -> list[Shard]:
    """Place each shard's replicas on consecutive peers; a dead peer's are Dead once a write noticed it."""
    params, peers = collection.params, state.scene.peers
    placed = []
    for number in range(params["shard_number"]):
        holders = [(number + step) % peers for step in range(min(params["replication_factor"], peers))]
        states = {peer: "Dead" if peer in state.noticed_dead else "Active" for peer in holders}
        states |= state.scene.replica_states.get(collection.name, {}).get(number, {})
        placed.append(Shard(number, states, 1 / params["shard_number"]))
    return placed


def read(state: State, collection: Collection) -> None:
    """Meet what a read meets: an error, after a while, when a shard has no replica that answers."""
    frozen = False
    for shard in shards(state, collection):
        active = [peer for peer, replica in shard.replicas.items() if replica == "Active"]
        if any(peer not in state.scene.dead and peer not in state.scene.frozen for peer in active):
            continue
        if not active:
            raise internal(
                f"The replica set for shard {shard.number} on peer {state.peer} does not have enough active replicas"
            )
        frozen = frozen or any(peer in state.scene.frozen for peer in active)
        time.sleep(state.scene.frozen_seconds if frozen else state.scene.dead_seconds)
        raise internal(f"1 of 1 read operations failed:\n  {EXPIRED if frozen else REFUSED}")


def write(state: State) -> None:
    """Notice dead peers, as only a write does; it waits for them."""
    if set(state.scene.dead) - state.noticed_dead:
        time.sleep(state.scene.dead_seconds)
        state.noticed_dead = frozenset(state.scene.dead)


def ask_every_replica(state: State, collection: Collection, *, also_dead: bool) -> None:
    """Meet what a request to every replica meets; one that is known as Dead is asked only with `also_dead`."""
    remote = [pair for shard in shards(state, collection) for pair in shard.remote.items()]
    asked = {peer for peer, replica in remote if also_dead or replica == "Active"}
    if asked & set(state.scene.dead):
        time.sleep(state.scene.dead_seconds)
        raise internal(REFUSED)
    if asked & set(state.scene.frozen):
        time.sleep(state.scene.frozen_seconds)
        raise Refused(408, f"Timeout: {EXPIRED}")


def status(state: State) -> Json:
    """Return /cluster's result."""
    if not enabled(state):
        return {"status": "disabled"}
    return {
        "status": "enabled",
        "peer_id": state.peer,
        "peers": peers(state),
        "raft_info": {
            "term": TERM,
            "commit": COMMIT,
            "pending_operations": state.scene.pending_operations,
            "leader": state.peer if state.scene.has_leader else None,
            "role": role(state, 0),
            "is_voter": True,
        },
        "consensus_thread_status": {
            "consensus_thread_status": "working",
            "last_update": nanosecond_stamp(time.time()),
        },
        "message_send_failures": {uri(number): _failure(state, number) for number in state.scene.dead},
    }


def peers(state: State) -> Json:
    return {str(peer_id(state, number)): {"uri": uri(number)} for number in range(state.scene.peers)}


def role(state: State, number: int) -> str:
    if not state.scene.has_leader:
        return "Candidate"
    return "Follower" if number else "Leader"


def distributed(state: State) -> Json:
    """Return /cluster/telemetry's result: it asks every peer, and waits for those that do not answer."""
    if not enabled(state):
        raise internal("Could not get telemetry from cluster")
    time.sleep(state.scene.frozen_seconds if state.scene.frozen else 0)
    time.sleep(state.scene.dead_seconds if state.scene.dead else 0)
    known = {str(peer_id(state, number)): _distributed_peer(state, number) for number in range(state.scene.peers)}
    return {
        "collections": {name: {"id": name} for name in state.collections},
        "cluster": {"enabled": True, "number_of_peers": state.scene.peers, "peers": known},
    }


def _distributed_peer(state: State, number: int) -> Json:
    if number in (*state.scene.dead, *state.scene.frozen):
        return {"uri": uri(number), "responsive": False, "details": None}
    details = {
        "version": state.version,
        "role": role(state, number),
        "is_voter": True,
        "term": TERM,
        "commit": COMMIT,
        "num_pending_operations": state.scene.pending_operations,
        "consensus_thread_status": {
            "consensus_thread_status": "working",
            "last_update": millisecond_stamp(time.time()),
        },
    }
    return {"uri": uri(number), "responsive": True, "details": details}


def _failure(state: State, number: int) -> Json:
    since = time.time() - state.scene_since
    return {
        "count": 1 + int(since * 5),
        "latest_error": "Error in closure supplied to transport channel pool: code: 'The service is currently "
        f'unavailable\', message: "Failed to connect to {uri(number)}, error: transport error"',
        "latest_error_timestamp": nanosecond_stamp(time.time()),
    }
