"""Rows for tests that look at every table: one in each, with a secret that is known wherever there is one."""

from typing import Any

from sqlalchemy import Column, Float, ForeignKey, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from admin.console.tables.catalog import Catalog, Kind, is_secret
from gateway.ids import make_id
from gateway.schema import metadata
from gateway.vault import Vault

NEVER = 1e12
SECRET = "canary"
QUIET: dict[tuple[str, str], Any] = {
    # what nobody acts on while the gateway runs
    ("campaign", "state"): "completed",
    ("message", "state"): "read",
    ("session", "state"): "STOPPED",
    ("session", "desired"): "STOPPED",
    ("webhook_endpoint", "state"): "paused",
    ("webhook_delivery", "state"): "delivered",
    ("schedule", "status"): "archived",
    ("event_counter", "name"): "a counter",
    ("recipient_import", "state"): "done",
    ("server", "url"): "http://127.0.0.1:9",
}
"""The values of some columns; the others have any."""


async def fill(tx: AsyncConnection, vault: Vault) -> dict[str, list[str]]:
    """A row in each table; gives the secrets in it, by table."""
    catalog, made, secrets = Catalog(), dict[str, dict[str, Any]](), dict[str, list[str]]()
    for table in metadata().sorted_tables:
        hidden = [column for column in table.columns if is_secret(table.name, column)]
        values: dict[str, Any] = {}
        for column in table.columns:
            if column in hidden:
                values[column.name] = _secret(column, vault)
            elif (parent := _parent(column)) is not None and parent.column.table.name in made:
                values[column.name] = made[parent.column.table.name][parent.column.name]
            else:
                values[column.name] = QUIET.get((table.name, column.name), _any(catalog, column))
        made[table.name] = values
        secrets[table.name] = [values[column.name] for column in hidden]
        await tx.execute(insert(table).values(**values))
    return secrets


def _parent(column: Column[Any]) -> ForeignKey | None:
    return next(iter(column.foreign_keys), None)


def _secret(column: Column[Any], vault: Vault) -> str:
    if "encrypted" in column.name:
        return vault.encrypt(SECRET)
    return f"{SECRET}-{column.table.name}-{column.name}"[: getattr(column.type, "length", None) or 64]


def _any(catalog: Catalog, column: Column[Any]) -> Any:
    shown = catalog.tables[column.table.name].columns[column.name]
    match shown.kind:
        case Kind.ID:
            return make_id(1.7e9)
        case Kind.CHOICE:
            return shown.choices[0]
        case Kind.YES_NO:
            return False
        case Kind.TIME:
            return NEVER if isinstance(column.type, Float) else 1_700_000_000
        case Kind.NUMBER:
            return 4242
        case Kind.PHONE:
            return "447700900942"
        case Kind.FILE:
            return b"a file"
    return f"any {column.name}"[: getattr(column.type, "length", None) or 40]
