"""A till in software: pairs, scans, goes offline, has its clock set, loses power, and hands in its records.

It keeps what a real till must keep over a power cut (key, kit, records not yet handed in, codes it
accepted), writes a record down before it lets the customer go, and trusts no clock that it cannot check:
offline, time is the server's last time plus its own monotonic seconds. After a restart, or when wall clock
and monotonic seconds part by more than 30 s, it accepts nothing offline until it has seen the server. It
never says verified, only queued.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kernel.clock import parse_instant
from kernel.identifiers import parse_public_id
from merchants.offline import MOST_RECORDS
from merchants.offline_records import NO_RECORD, Record, hash_of, signed_bytes
from merchants.terminals import TERMINAL
from rewards.terminal_kit.cv1_verifier import GRACE_S, KeyRing, Refused, scanned, verify_offline

MOST_DRIFT_S = 30
QUEUED, REDEEMED, HANDED_IN = "queued", "redeemed", "handed in"
OFF, NO_KIT, RESTARTED, DRIFTED = "power_off", "no_kit", "restarted_offline", "clock_drifted"
LIST_OLD, CAP_REACHED, OVERDUE, UNREACHABLE = "list_too_old", "cap_reached", "sync_overdue", "unreachable"


class Unreachable(Exception):  # noqa: N818 - a state of the network
    """The server cannot be reached, or its answer did not arrive."""


class Ask(Protocol):
    """A request to the server: status and JSON; raises Unreachable."""

    def __call__(
        self, method: str, path: str, body: dict[str, Any] | None, *, token: str, key: str
    ) -> tuple[int, dict[str, Any]]:
        """Ask once."""


@dataclass
class Clocks:
    """The till's two clocks, in whole seconds: one that can be set, one that only counts."""

    wall: Callable[[], int]
    monotonic: Callable[[], int]
    set_by_s: int = 0
    """How far somebody has set the wall clock."""

    def read(self) -> tuple[int, int]:
        """Wall and monotonic seconds."""
        return self.wall() + self.set_by_s, self.monotonic()


class Memory(Protocol):
    """What survives a power cut."""

    def load(self) -> dict[str, Any]:
        """What was kept last."""

    def keep(self, state: dict[str, Any]) -> None:
        """Keep it, whole or not at all."""


@dataclass
class FileMemory:
    """A file that only its owner reads: it holds the till's key."""

    path: Path

    def load(self) -> dict[str, Any]:
        """What the file says; nothing where there is none."""
        return dict(json.loads(self.path.read_text())) if self.path.exists() else {}

    def keep(self, state: dict[str, Any]) -> None:
        """Write a new file, on disk before it takes the old one's place."""
        draft = self.path.with_name(f"{self.path.name}.new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)


@dataclass(frozen=True)
class _Anchor:
    """The server's time, and both clocks at that moment; gone with the power."""

    server_s: int
    wall_s: int
    monotonic_s: int


@dataclass
class SimulatedTerminal:
    """A till. `state` is what it keeps, `connected` and `powered` are what happens to it."""

    ask: Ask
    memory: Memory
    clocks: Clocks
    connected: bool = True
    powered: bool = True
    state: dict[str, Any] = field(default_factory=dict)
    _anchor: _Anchor | None = None
    _shift: str = ""
    """The secret of the clerk's shift: in memory only, so that it is gone with the power."""

    def __post_init__(self) -> None:
        """Start with what was kept."""
        self.state = self.memory.load()

    @property
    def queue(self) -> list[dict[str, Any]]:
        """The records that were not handed in yet."""
        return list(self.state.get("queue", []))

    def pair(self, code: str) -> str:
        """Make a key and turn a pairing code into the till's secret; the till's id, or the refusal."""
        private = Ed25519PrivateKey.generate()
        public = private.public_key().public_bytes_raw().hex()
        status, told = self._asked("POST", "/v1/terminal/pairing", {"code": code, "public_key": public})
        if status != 201:
            return str(told.get("code"))
        self._keep(
            private_key=private.private_bytes_raw().hex(),
            token=told["token"],
            terminal_id=told["terminal_id"],
            queue=[],
            seen={},
            counter=0,
            chain_hash=NO_RECORD.hex(),
        )
        return str(told["terminal_id"])

    def lose_power(self) -> None:
        """Everything that was not kept is gone, the running time with it."""
        self.powered, self._anchor, self._shift, self.state = False, None, "", {}

    def start(self) -> None:
        """Start again with what was kept."""
        self.powered, self.state = True, self.memory.load()

    def scan(self, text: str) -> str:
        """`redeemed` by the server, `queued` without it, or the refusal."""
        if not self.powered:
            return OFF
        if not self.connected:
            return self._accept(scanned(text))
        try:
            if self.queue:
                self.sync()
            status, told = self._asked("POST", "/v1/terminal/redemptions", {"code": scanned(text)})
        except Unreachable:
            return UNREACHABLE  # whether it was redeemed is unknown: honouring it offline now could be twice
        return REDEEMED if status == 201 else str(told["code"])

    def sign_in(self, number: str, pin: str) -> str:
        """Let a clerk sign in; the role, or the refusal. Raises Unreachable."""
        self._shift = ""
        status, told = self._asked("POST", "/v1/terminal/shifts", {"number": number, "pin": pin})
        if status != 201:
            return str(told["code"])
        self._shift = str(told["token"])
        return str(told["role"])

    def sign_out(self) -> None:
        """Let the clerk go; without a network the shift ends by its hours. Raises Unreachable."""
        if self._shift:
            self._asked("DELETE", "/v1/terminal/shifts/current", None)
        self._shift = ""

    def scan_together(self, texts: list[str]) -> str:
        """`redeemed`, all of them, or the refusal and which code it is about; online only."""
        codes = [scanned(text) for text in texts]
        try:
            status, told = self._asked("POST", "/v1/terminal/redemption-batches", {"codes": codes})
        except Unreachable:
            return UNREACHABLE
        if status == 201:
            return REDEEMED
        place = told["facts"].get("place")
        return str(told["code"]) + ("" if place is None else f" (code {place + 1})")

    def sync(self) -> list[dict[str, Any]]:
        """Hand in what waits, then fetch a fresh kit; the outcomes. Raises Unreachable."""
        outcomes: list[dict[str, Any]] = []
        while self.queue:
            some = self.queue[:MOST_RECORDS]
            status, told = self._asked("POST", "/v1/terminal/offline-batches", {"records": some})
            if status != 201:
                raise Unreachable(f"{status} {told.get('code')}")
            outcomes += told["outcomes"]
            self._keep(queue=[each for each in self.queue if each["counter"] > told["counter"]])
            if told["broken_at"] is not None:
                raise Unreachable(f"the chain is broken at {told['broken_at']}")
        self.refresh()
        return outcomes

    def refresh(self) -> None:
        """Fetch keys, deny list and rule, and see the server's time. Raises Unreachable."""
        wall_s, monotonic_s = self.clocks.read()
        status, told = self._asked("GET", "/v1/terminal/offline-kit", None)
        if status != 200:
            raise Unreachable(f"{status} {told.get('code')}")
        if not self.queue:
            self._keep(counter=told["counter"], chain_hash=told["chain_hash"])
        server_s = _seconds(told["server_time"])
        # All codes of a use have one id: it is kept until its record is handed in and the deny list has it.
        seen = self.state["seen"]
        if not self.queue:
            seen = {code_id: until for code_id, until in seen.items() if until > server_s}
        self._keep(kit=told, seen=seen)
        self._anchor = _Anchor(server_s, wall_s, monotonic_s)

    def _accept(self, text: str) -> str:
        now_s = self._offline_time()
        if isinstance(now_s, str):
            return now_s
        kit, queue = self.state["kit"], self.queue
        if now_s > _seconds(kit["accept_until"]):
            return LIST_OLD
        if len(queue) >= kit["rule"]["most"]:
            return CAP_REACHED
        if queue and now_s > queue[0]["scanned_at_s"] + 3600 * kit["rule"]["sync_hours"]:
            return OVERDUE
        gone = {*kit["deny"], *self.state["seen"]}
        try:
            frame = verify_offline(
                text,
                find=KeyRing(kit["keys"]).at(now_s),
                scope_no=kit["scope_no"],
                now_s=now_s,
                seen=lambda code_id: code_id.hex() in gone,
            )
        except Refused as refused:
            return refused.code
        self._write(text, now_s, seen_until_s=frame.not_after_s + GRACE_S, code_id=frame.code_id)
        return QUEUED

    def _offline_time(self) -> int | str:
        """The server's time as the till knows it, or why it does not know it."""
        if "kit" not in self.state:
            return NO_KIT
        if self._anchor is None:
            return RESTARTED
        wall_s, monotonic_s = self.clocks.read()
        passed_s = monotonic_s - self._anchor.monotonic_s
        now_s = self._anchor.server_s + passed_s
        if abs(wall_s - self._anchor.wall_s - passed_s) > MOST_DRIFT_S:
            self._anchor = None  # setting it back mends nothing: only the server knows
            return DRIFTED
        return now_s

    def _write(self, text: str, now_s: int, *, seen_until_s: int, code_id: bytes) -> None:
        """Sign a record over the last one, and keep it before the customer goes."""
        terminal_id = parse_public_id(TERMINAL, self.state["terminal_id"])
        record = self._signed(terminal_id, text, now_s)
        told = {
            "counter": record.counter,
            "scanned_at_s": record.scanned_at_s,
            "code": record.code,
            "previous": record.previous.hex(),
            "signature": record.signature.hex(),
        }
        self._keep(
            queue=[*self.queue, told],
            counter=record.counter,
            chain_hash=hash_of(record, terminal_id).hex(),
            seen={**self.state["seen"], code_id.hex(): seen_until_s},
        )

    def _signed(self, terminal_id: UUID, text: str, now_s: int) -> Record:
        private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(self.state["private_key"]))
        counter, previous = self.state["counter"] + 1, bytes.fromhex(self.state["chain_hash"])
        said = signed_bytes(terminal_id, previous=previous, counter=counter, scanned_at_s=now_s, code=text)
        return Record(
            counter=counter, scanned_at_s=now_s, code=text, previous=previous, signature=private.sign(said)
        )

    def _asked(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
        if not (self.connected and self.powered):
            raise Unreachable("this till is offline")
        token = ".".join(filter(None, (self.state.get("token", ""), self._shift)))
        return self.ask(method, path, body, token=token, key=str(uuid4()))

    def _keep(self, **changes: Any) -> None:
        self.state = {**self.state, **changes}
        self.memory.keep(self.state)


def _seconds(instant: str) -> int:
    return int(parse_instant(instant).timestamp())
