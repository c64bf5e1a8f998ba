"""Many phones at once for one reward, as a process of its own: each citizen asks until the answer is clear.

Reads what to ask from standard input, begins once a line says so, and writes what was told. A request has a
connection of its own, as a phone has; one that is told to wait (503) comes again when it was told to. Phones
have processors of their own, so this process gives way to the server where both want a core.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

TRIES_MOST = 60
ANSWER_SECONDS = 60
GIVES_WAY = 10


@dataclass
class Crowd:
    """What is asked, who is next, and what was told."""

    port: int
    body: bytes
    asks: list[list[str]]
    """Token and key of each citizen."""
    told: Counter[str] = field(default_factory=Counter)
    waits_ms: list[float] = field(default_factory=list)
    """Of each citizen, from the first word to the clear answer."""
    busy: int = 0
    next: int = 0

    async def client(self) -> None:
        """Take citizen after citizen."""
        while self.next < len(self.asks):
            token, key = self.asks[self.next]
            self.next += 1
            begin = time.perf_counter()
            self.told[await self._clear(token, key)] += 1
            self.waits_ms.append((time.perf_counter() - begin) * 1000)

    async def _clear(self, token: str, key: str) -> str:
        head = (
            f"POST /v1/me/vouchers HTTP/1.1\r\nHost: rush\r\nAuthorization: Bearer {token}\r\n"
            f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\nConnection: close\r\n"
            f"Content-Length: {len(self.body)}\r\n\r\n"
        )
        for _ in range(TRIES_MOST):
            status, wait, code = await asyncio.wait_for(self._ask(head.encode()), ANSWER_SECONDS)
            if status != "503":
                return f"{status} {code}".strip()
            self.busy += 1
            await asyncio.sleep(wait)
        return "503 to the end"

    async def _ask(self, head: bytes) -> tuple[str, float, str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(head + self.body)
            answer = await reader.read(-1)
        finally:
            writer.close()
        top, _, content = answer.partition(b"\r\n\r\n")
        lines = top.decode("latin-1").split("\r\n")
        named = dict(line.lower().split(": ", 1) for line in lines[1:])
        status = lines[0].split(" ")[1]
        if "retry-after" in named:
            return status, float(named["retry-after"]), ""
        return status, 0.0, "" if status == "201" else str(json.loads(content)["code"])


async def rush(asked: dict[str, Any]) -> dict[str, Any]:
    """Let `parallel` clients go at once; what they were told."""
    crowd = Crowd(asked["port"], json.dumps({"reward_id": asked["reward"]}).encode(), asked["asks"])
    begin = time.perf_counter()
    await asyncio.gather(*(crowd.client() for _ in range(asked["parallel"])))
    return {
        "told": crowd.told,
        "busy": crowd.busy,
        "seconds": time.perf_counter() - begin,
        "waits_ms": sorted(crowd.waits_ms),
    }


def main() -> None:
    """One crowd a line, until there are no more."""
    os.nice(GIVES_WAY)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(asyncio.run(rush(json.loads(line)))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
