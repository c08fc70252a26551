"""What can be asked about lists: files that become recipients, and files of what is there. As `calls.py`."""

import json
from collections.abc import Mapping, Sequence

from whatsapp_scheduler.calls import PER_PAGE, Call, given, listed, path_of
from whatsapp_scheduler.models import Import, ImportRow, Page

CSV = "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_IMPORT = ("recipients", "import")


def import_recipients(
    content: bytes,
    *,
    dry_run: bool | None = None,
    group_ids: Sequence[str] | None = None,
    group_name: str | None = None,
    on_duplicate: str | None = None,
    on_bad_row: str | None = None,
    columns: Mapping[str, str | None] | None = None,
) -> Call[Import]:
    """Make recipients of a list, CSV or XLSX. One that takes long goes on: `get_import` tells how far it is.

    `columns` says what columns are, where that is not to be guessed: `{"Tel. 2": "phone", "Notes": None}`.
    """
    query = given(
        dry_run=dry_run,
        group_ids=listed(group_ids),
        group_name=group_name,
        on_duplicate=on_duplicate,
        on_bad_row=on_bad_row,
        columns=None if columns is None else json.dumps(dict(columns)),
    )
    kind = XLSX if content.startswith(b"PK") else CSV
    return Call("POST", path_of(*_IMPORT), Import.model_validate, query=query, content=content, content_type=kind)


def get_import(import_id: str) -> Call[Import]:
    """How far an import is."""
    return Call("GET", path_of(*_IMPORT, import_id), Import.model_validate)


def list_import_rows(
    import_id: str, *, fate: Sequence[str] | None = None, page: int = 1, per_page: int = PER_PAGE
) -> Call[Page[ImportRow]]:
    """A page of what became of rows; `fate` are those of some fates only, such as `["invalid"]`."""
    query = given(fate=listed(fate), page=page, per_page=per_page)
    return Call("GET", path_of(*_IMPORT, import_id, "rows"), Page[ImportRow].model_validate, query=query)


def export_recipients(*, search: str | None = None, group_id: str | None = None) -> Call[bytes]:
    """The recipients as CSV for spreadsheets, in UTF-8."""
    return Call(
        "GET", path_of("recipients", "export"), bytes, query=given(search=search, group_id=group_id), is_file=True
    )


def export_campaign(campaign_id: str, *, status: Sequence[str] | None = None) -> Call[bytes]:
    """Every message of a campaign, or of a schedule (its `task_id`), as CSV for spreadsheets, in UTF-8."""
    query = given(status=listed(status))
    return Call("GET", path_of("campaigns", campaign_id, "export"), bytes, query=query, is_file=True)
