"""The reader of the document, and the comparison with its examples: they find what is wrong."""

from typing import Any

import pytest

from tests.seed_002.seed import Seed, assert_like

DOCUMENT = """
# A title
## A section
| Parameter | Type | Default |
|---|---|---|
| `skip` | integer | 0 |

```http
POST /api/things
Content-Type: application/json

{"name": "A"}
```
```json
{
  "items": []  // filled where it was asked for
}
```
### Another
```bash
# this is no heading
curl https://api.example.com/things
```
"""


def test_the_reader_tells_blocks_requests_answers_and_tables_by_heading() -> None:
    seed = Seed(DOCUMENT)
    assert [block.language for block in seed.blocks("A section")] == ["http", "json"]
    request = seed.request("A section")
    assert (request.method, request.path, request.body) == ("POST", "/api/things", {"name": "A"})
    assert seed.answer("A section") == {"items": []}
    assert seed.table("A section") == {"skip": ("integer", "0")}
    assert "# this is no heading" in seed.blocks("Another", "bash")[0].text


EXAMPLE = {
    "id": "123e4567-e89b-12d3-a456-426614174000",
    "at": "2024-01-01T10:00:00Z",
    "phone": "+1234567890",
    "count": 3,
    "flag": True,
    "error": None,
    "items": [{"name": "A"}],
}


def test_an_answer_may_have_more_and_other_values() -> None:
    more = {"error": "what null allows", "items": [], "new": 1, "at": "2026-11-21T09:00:00.250000Z"}
    assert_like(EXAMPLE, EXAMPLE | more)


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "7"},
        {"at": "2024-01-01T10:00:00+00:00"},
        {"at": 1704103200},
        {"phone": "1234567890"},
        {"count": "3"},
        {"count": True},
        {"flag": 1},
        {"items": [{"name": "A"}, {"title": "B"}]},
        {"items": {}},
        {"count": None},
    ],
)
def test_an_answer_of_another_kind_is_found(wrong: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        assert_like(EXAMPLE, EXAMPLE | wrong)


def test_a_missing_key_is_found() -> None:
    with pytest.raises(AssertionError, match="error"):
        assert_like(EXAMPLE, {key: value for key, value in EXAMPLE.items() if key != "error"})
