"""How smsadmin checks a submit, ordinary (§2, §3) or by template (点点通, §4)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_sms.sandbox import clock
from airflow_provider_sms.sandbox.desk import Call, is_mobile
from airflow_provider_sms.sandbox.exchange import Exchange, chance
from airflow_provider_sms.sandbox.messages import Submission

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_sms.sandbox.settings import Settings

_MARKER = re.compile(r"\{value(\d+)\}")
_LONGEST_LINKID = 32


class RefusedError(Exception):
    """The submit is refused; the message is the vendor's answer, code and words."""


def submit(call: Call, exchange: Exchange) -> None:
    """Check and send one text to many numbers.

    :param call: with ``mobile``, ``msg``, ``dtime`` and ``linkid``
    :param exchange: what it is charged to
    :raises RefusedError: with the answer
    """
    settings = exchange.settings
    _check_account(exchange)
    given = [number.strip() for number in call.get("mobile").split(";") if number.strip()]
    content = call.get("msg")
    if not given or not content:
        raise RefusedError("5 手机号或发送信息不能为空!")
    most = settings.smsadmin_max_numbers_post if call.style == "post" else settings.smsadmin_max_numbers_get
    if len(given) > most:
        raise RefusedError(f"3 超过发送最大量 {most} 条")
    # 接口将自动过滤删除重复手机号码 (1.0.3)
    texts = [(number, content) for number in dict.fromkeys(given) if is_mobile(number)]
    _pay(call, exchange, texts)


def submit_template(call: Call, exchange: Exchange) -> None:
    """Check and send one template to many groups of a number and its values; malformed groups vanish (§4).

    :param call: with ``msg``, ``params``, ``dtime`` and ``linkid``
    :param exchange: what it is charged to
    :raises RefusedError: with the answer
    """
    settings = exchange.settings
    _check_account(exchange)
    template = call.get("msg")
    groups = [group for group in call.get("params").split(";") if group.strip()]
    if not groups or not template:
        raise RefusedError("5 手机号或发送信息不能为空!")
    if len(groups) > settings.smsadmin_max_numbers_post:
        raise RefusedError(f"3 超过发送最大量 {settings.smsadmin_max_numbers_post} 条")
    filled: dict[str, str] = {}
    for group in groups:
        entries = group.split(",")
        entries[0] = entries[0].strip()
        if is_mobile(entries[0]) and len(entries) == _arity(template, settings):
            filled.setdefault(entries[0], _fill(template, entries, settings))
    _pay(call, exchange, list(filled.items()))


def _check_account(exchange: Exchange) -> None:
    if exchange.account.disabled:
        raise RefusedError("4 此用户不允许发送!")
    if exchange.account.locked:
        raise RefusedError("8 用户已冻结, 请联系客服人员!")


def _pay(call: Call, exchange: Exchange, texts: list[tuple[str, str]]) -> None:
    if not texts:
        raise RefusedError("5 手机号或发送信息不能为空!")
    most = exchange.settings.smsadmin_max_chars
    for content in {content for _, content in texts}:
        if len(content) > most:
            raise RefusedError(f"7 超过 {most} 个字,请修改后发送!")
        # This version of the document has no code for a forbidden word; 6 is an older version's.
        if exchange.forbidden(content):
            raise RefusedError("6 短信内容含有敏感字!")
    linkid = call.get("linkid")[:_LONGEST_LINKID]
    submission = Submission(
        page=call.page,
        raw=call.request.body if call.style == "post" else call.request.query,
        texts=texts,
        message_ids=[linkid or _own_linkid(number, exchange) for number, _ in texts],
        due=_due(call),
        linkid=linkid,
        send_time=call.get("dtime"),
    )
    if not exchange.submit(submission):
        raise RefusedError("2 余额不足!")


def _due(call: Call) -> datetime:
    # No code is documented for a time that cannot be read or is past: such a message leaves at once.
    present = clock.now()
    return max(clock.read_dashed(call.get("dtime")) or present, present)


def _own_linkid(number: str, exchange: Exchange) -> str:
    # 若提交短信时 linkid 参数值为空时，系统自动生成流水号，有可能有值，有可能为空 (§7, §8)
    kinds = ("", "0", "1", exchange.next_id())
    return kinds[int(chance(number, "linkid", exchange.settings.seed) * len(kinds))]


def _arity(template: str, settings: Settings) -> int:
    highest = max((int(index[:9]) for index in _MARKER.findall(template)), default=-1)
    if settings.ddt_value0 == "first_value":
        return highest + 2
    return max(highest, 0) + 1


def _fill(template: str, entries: list[str], settings: Settings) -> str:
    values = entries if settings.ddt_value0 == "number" else entries[1:]
    # 变量标识符号不能重复: what a repeat does is not said; here it stays unfilled, for all to see.
    done: set[str] = set()

    def fill(found: re.Match[str]) -> str:
        index = found.group(1)
        if index in done:
            return found.group()
        done.add(index)
        return values[int(index)]

    return _MARKER.sub(fill, template)
