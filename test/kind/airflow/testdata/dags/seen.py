"""What the tasks and the triggerer have in common."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.triggers.base import BaseTrigger, TriggerEvent


def fingerprint(value: Any) -> str:
    """Hash a text, or all that makes a connection."""
    if not isinstance(value, str):
        names = ("conn_type", "host", "schema", "login", "password", "port")
        fields = {name: getattr(value, name) for name in names} | {"extra": value.extra_dejson}
        value = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(value.encode()).hexdigest()


def tell(what: str, seen: Any) -> None:
    """Write to the task's log what the test looks for."""
    print(f"SEEN {what}: {seen}")


class Observe(BaseTrigger):
    """Tells every state of a connection until it is revoked."""

    def __init__(self, conn_id: str) -> None:
        super().__init__()
        self.conn_id = conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "seen.Observe", {"conn_id": self.conn_id}

    async def run(self):
        seen: list[str] = []
        while True:
            try:
                now = fingerprint(await BaseHook.aget_connection(self.conn_id))
            except AirflowNotFoundException:
                yield TriggerEvent([*seen, "not defined"])
                return
            if now not in seen:
                seen.append(now)
                tell(self.conn_id, now)
            await asyncio.sleep(0.1)
