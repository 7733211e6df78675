"""
What vendors say in plain Chinese: to which error it belongs, and how much of it an error may quote.

Some vendors answer every failure with one code and a sentence. The sentences are in no document; these words
are what such sentences are made of.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_sms import errors, redact
from airflow_provider_sms.vendors.base import Code

if TYPE_CHECKING:
    from airflow_provider_sms.vendors.base import Account

#: The most specific first: a sentence about a locked account may mention its password, too.
_VERDICTS: tuple[tuple[re.Pattern[str], Code], ...] = (
    (
        re.compile(r"(?:号码|手机号)\S{0,6}黑名单"),
        Code(
            "a number of this call is on the vendor's blacklist",
            errors.VendorRejected,
            "Ask the vendor which, and take it out of the recipients",
        ),
    ),
    (
        re.compile(
            r"(?:敏感|屏蔽|关键|违禁|非法|违规)(?:词|字|内容|信息)"
            r"|(?:内容|短信|信息).*(?:敏感|屏蔽|违禁|非法|违规)"
            r"|签名"
        ),
        Code(
            "the vendor does not accept the text: it holds a forbidden word, or lacks its signature",
            errors.ContentRejected,
            "Change the text; SmsHook.send, not a task, tells the words in its error's 'words', if they were "
            "named",
        ),
    ),
    (
        re.compile(r"锁定|禁用|停用|冻结|黑名单|白名单|无权|权限|未授权|过期|屏蔽"),
        Code(
            "the account is locked, or may not do this",
            errors.NotAllowed,
            "Ask the vendor to unlock or allow it",
        ),
    ),
    (
        re.compile(r"余额|欠费|[条点]数不足"),
        Code(
            "the balance does not cover the messages of this call",
            errors.InsufficientBalance,
            "Buy messages, then send again what was not sent",
        ),
    ),
    (
        re.compile(r"密码|(?:[账帐][号户]|用户|企业).*(?:错误|不存在|不正确|无效|有误|为空)"),
        Code(
            "the account or its password is wrong",
            errors.AuthenticationFailed,
            "Correct the connection's login, password and ids",
        ),
    ),
    (
        re.compile(r"系统忙|繁忙|频繁|过快|太快|稍[后候]"),
        Code("the vendor is busy", errors.VendorBusy, "Nothing was done; try again in a minute"),
    ),
)
#: Of a send: perhaps the vendor has it, or has had it before. "Later" (稍后) may stand beside it.
_IN_DOUBT = re.compile(
    r"超时|重复(?:提交|发送)|[等待]审核|审核中|处理中|正在(?:处理|发送)|查询.{0,6}(?:结果|状态)"
    r"|已经?(?:提交|接收|受理|生成)|已入[库队]|部分.{0,6}(?:发送|提交|成功)"
    r"|(?<![天日])已经?发送(?![0-9次数])"
    # What .NET says itself, handed on as it is.
    r"|(?i:timeout|timed out|connection was closed|being aborted)|基础连接已经?关闭|线程正在中止"
)
#: Something broke inside, at whatever point; a word about text, account or balance says more.
_BROKE = re.compile(
    r"网络(?:连接)?(?:异常|错误|故障|超时|中断|失败)|内部\S{0,2}错误|(?:数据库|系统|服务器?|程序)错误"
    r"|未将对象引用|服务器返回错误|(?i:object reference|exception|returned an error|internal error)"
    r"|(?:系统|服务器?|程序|数据库|通道|接口|网关|发送|提交|请求|未知)(?:内部)?异常"
)
#: These look like it, and are about what has to be right before anything is taken.
_OF_THE_ACCOUNT = re.compile(
    r"(?:签名|模板|[账帐][号户]|资质|企业)\S{0,2}审核中?|(?:登[录陆]|定时(?:时间)?|会话)\S{0,2}超时"
)
#: Longer runs of digits may be somebody's number.
_LONG_DIGITS = re.compile(r"[0-9]{7,}")
#: Behind these a sentence quotes what it is about: a word, a number, a whole message.
_QUOTES = re.compile("[:：\"'“”‘’「『《〈<【\\[({（]")
_LONGEST = 40


def verdict(remark: str) -> Code | None:
    """Give what a sentence means; ``None`` when its words don't show it."""
    return next((code for pattern, code in _VERDICTS if pattern.search(remark)), None)


def leaves_in_doubt(remark: str) -> bool:
    """Whether a sentence about a send that failed sounds as if the vendor may have taken it."""
    # What is quoted is somebody's text, or a word of it.
    said = _OF_THE_ACCOUNT.sub("", _QUOTES.split(remark, maxsplit=1)[0])
    if _IN_DOUBT.search(said):
        return True
    known = verdict(remark)
    return _BROKE.search(said) is not None and (known is None or known.error is errors.VendorBusy)


def words(remark: str) -> tuple[str, ...]:
    """Give the forbidden words that a sentence names behind its colon."""
    _, _, named = remark.replace("：", ":").partition(":")
    return tuple(word for word in re.split(r"[\s,，、;；|。.]+", named) if word)


def shown(remark: str, account: Account) -> str:
    """Give as much of a sentence as an error or a table may hold: no quotation, number or credential."""
    remark = " ".join(_QUOTES.split(remark, maxsplit=1)[0].split())
    for secret in redact.secret_forms(account.password):
        remark = remark.replace(secret, "***")
    remark = _LONG_DIGITS.sub(lambda found: redact.mask_number(found[0]), remark)
    return remark if len(remark) <= _LONGEST else remark[:_LONGEST] + "…"
