"""
What the codes of vendors and networks mean, in both languages of the page.

English meanings of a vendor's answers to submits are the codecs'; the Chinese ones stand here. The codes of
delivery reports come from the networks behind the vendors, who explain none of them: those that SMPP defines
mean the same everywhere, and a few families are known. Of the others the page says that only the vendor
knows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_sms.reporting.figures import Names
from airflow_provider_sms.vendors.base import Operation
from airflow_provider_sms.vendors.registry import vendors

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNEXPLAINED = Names("由上级通道返回，含义请咨询供应商", "the network’s own code: ask the vendor")
_SILENT_VENDOR = Names("供应商没有给出原因", "the vendor gave no reason")

#: SMPP 3.4, §5.2.28 and appendix B, as the networks of China use them.
_REPORTED: Mapping[str, Names] = {
    "UNDELIV": Names("无法送达：停机、空号或无法接收", "undeliverable: off the network, or barred"),
    "EXPIRED": Names("有效期内未能送达：多为关机或不在服务区", "not in time: switched off or out of reach"),
    "DELETED": Names("短信已被短信中心删除", "deleted by the message centre"),
    "REJECTD": Names("被短信中心拒绝", "rejected by the message centre"),
    "UNKNOWN": Names("短信中心不知道结果", "the message centre does not know"),
    "ACCEPTD": Names("短信中心已接收，尚无结果", "taken by the message centre, no outcome"),
    "ENROUTE": Names("正在发送途中", "on its way"),
    "NOROUTE": Names("没有可用的通道", "there is no route"),
}
_FAMILIES: tuple[tuple[re.Pattern[str], Names], ...] = (
    (
        re.compile(r".*BLACK.*"),
        Names("号码在黑名单中，或已退订", "on a blacklist, or opted out"),
    ),
    (
        re.compile(r"M[A-Z]:[0-9A-Z]{1,5}"),
        Names("短信中心返回的错误，含义请咨询供应商", "an error of the message centre: ask the vendor"),
    ),
    (
        re.compile(r"[A-LN-Z][A-Z]:[0-9A-Z]{1,5}"),
        Names("网关返回的错误，含义请咨询供应商", "an error of a gateway: ask the vendor"),
    ),
)

_ANSWERS: Mapping[str, Mapping[str, str]] = {
    "beidoutong": {"Faild": "供应商拒绝，原因见其描述"},
    "wavecom": {
        "-1": "缺少号码",
        "-2": "缺少短信内容",
        "-3": "内容含禁发词",
        "-4": "一次提交超过 100 个号码",
        "-7": "用户名或密码错误",
        "-8": "内容超过 335 个字符",
        "-9": "余额不足",
        "-10": "帐号已锁定",
        "-99": "系统忙",
    },
    "linkws": {
        "-1": "账号未注册",
        "-2": "其他错误",
        "-3": "帐号或密码错误",
        "-5": "余额不足",
        "-6": "定时时间格式无效",
        "-7": "内容末尾没有签名",
        "-8": "内容不在 1 到 300 字之间",
        "-9": "号码为空",
        "-10": "定时时间已过",
        "-12": "内容含关键字",
        "-20": "账号为空",
        "-21": "密码为空",
        "-22": "内容为空",
        "-23": "密码不是 32 位 MD5",
        "-100": "IP 在黑名单中",
        "-102": "账号在黑名单中",
        "-103": "IP 未加白名单",
    },
    "smsadmin": {
        "1": "用户名或密码错误",
        "2": "余额不足",
        "3": "一次提交的号码过多",
        "4": "此用户不允许发送",
        "5": "号码或内容为空，或没有有效号码",
        "6": "内容含敏感字",
        "7": "内容过长",
        "8": "用户已冻结",
    },
}


def of_report(code: str) -> Names:
    """
    Tell what the error code of a delivery report means.

    :param code: as the vendor handed it on; may be empty.
    """
    if not code:
        return _SILENT_VENDOR
    word = code.strip().upper()
    if word in _REPORTED:
        return _REPORTED[word]
    return next((names for pattern, names in _FAMILIES if pattern.fullmatch(word)), _UNEXPLAINED)


def of_answer(vendor: str, code: str) -> Names | None:
    """
    Tell what a vendor's answer to a submit means.

    :return: ``None`` where its document does not list the code, or the vendor is not installed.
    """
    codec = vendors().get(vendor)
    table = codec.codes.get(Operation.SEND, {}) if codec is not None else {}
    known = table.get(code)
    if known is None:
        return None
    return Names(_ANSWERS.get(vendor, {}).get(code, known.meaning), known.meaning)
