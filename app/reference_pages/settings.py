"""Every setting: the environment variable, what it is when nobody sets it, and what it means."""

from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from typing import Any

from app.settings import MADE_IN_DEVELOPMENT, STUB, Settings

_SERVERS = frozenset({"database_url", "redis_url"})


def settings_page() -> str:
    """Render the page in Markdown."""
    return "\n".join((*_opening(), "", *_table())) + "\n"


def _opening() -> Iterator[str]:
    yield "# Settings 配置项"
    yield ""
    yield "Written from `app/settings.py` by `python -m app.reference_pages`; a test compares. Settings are"
    yield "read once, at start, from the environment. In development what is missing is made and kept in"
    yield "`TANPUHUI_DATA`; with `ENVIRONMENT=production` nothing is taken from files, and the service"
    yield "does not start without real secrets. Outside tests it never starts on a PostgreSQL before 18, or"
    yield "on one whose `fsync`, `full_page_writes` or `synchronous_commit` is off."
    yield ""
    yield "本页由代码生成。所有配置来自环境变量;生产环境缺少密钥时拒绝启动。"


def _table() -> Iterator[str]:
    yield "| variable 变量 | default 默认值 | meaning 含义 |"
    yield "|---|---|---|"
    for setting in fields(Settings):
        yield f"| `{setting.name.upper()}` | {_default(setting)} | {_meaning(setting)} |"


def _default(setting: Field[Any]) -> str:
    if setting.name in _SERVERS:
        return "that of `make run`; required in production"
    if setting.name in MADE_IN_DEVELOPMENT:
        return "made in development; required in production"
    if str(setting.default).startswith(STUB):
        return f"`{setting.default}`, the local stub's; required in production"
    if setting.default is None:
        return "unset"
    return "required" if setting.default is MISSING else f"`{setting.default}`"


def _meaning(setting: Field[Any]) -> str:
    unit = ", a whole number above zero" if setting.type in {int, int | None} else ""
    return f"{setting.metadata['help']}{unit}"
