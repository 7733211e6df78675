"""
Which carrier a Chinese mobile number belongs to, and which province, by its prefix.

The lists are those of the library ``phonenumbers``. What it does not know is ``unknown``, never a guess.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

#: The languages in which the names can be had.
Language = Literal["en", "zh"]
#: Numbers are handed out to carriers in blocks of ten thousand: the first seven digits tell.
PREFIX = 7
UNKNOWN = "unknown"
_CHINA = 86
_PADDING = "0000"
_MOBILE_START = "1"
#: As the library names them in both languages.
_CARRIERS = {
    "China Broadnet": "中国广电",
    "China Mobile": "中国移动",
    "China Telecom": "中国电信",
    "China Unicom": "中国联通",
}
#: As the library names them in English, and their short names in Chinese.
_PROVINCES = {
    "Anhui": "安徽",
    "Beijing": "北京",
    "Chongqing": "重庆",
    "Fujian": "福建",
    "Gansu": "甘肃",
    "Guangdong": "广东",
    "Guangxi": "广西",
    "Guizhou": "贵州",
    "Hainan": "海南",
    "Hebei": "河北",
    "Heilongjiang": "黑龙江",
    "Henan": "河南",
    "Hubei": "湖北",
    "Hunan": "湖南",
    "Inner Mongolia": "内蒙古",
    "Jiangsu": "江苏",
    "Jiangxi": "江西",
    "Jilin": "吉林",
    "Liaoning": "辽宁",
    "Ningxia": "宁夏",
    "Qinghai": "青海",
    "Shaanxi": "陕西",
    "Shandong": "山东",
    "Shanghai": "上海",
    "Shanxi": "山西",
    "Sichuan": "四川",
    "Tianjin": "天津",
    "Tibet": "西藏",
    "Xinjiang": "新疆",
    "Yunnan": "云南",
    "Zhejiang": "浙江",
}


@lru_cache(maxsize=65536)
def carrier_of_prefix(prefix: str, language: Language = "en") -> str:
    """
    Name the carrier of a block of numbers: ``"China Mobile"``, ``"中国移动"``.

    It is the carrier that got the block; a number that was taken to another carrier is not told.

    :param prefix: the first seven digits of national mobile numbers.
    :return: the name, ``"unknown"`` for landlines and blocks that nobody lists.
    """
    from phonenumbers import carrier

    number = _number(prefix)
    return UNKNOWN if number is None else carrier.name_for_number(number, language) or UNKNOWN


@lru_cache(maxsize=65536)
def province_of_prefix(prefix: str, language: Language = "en") -> str:
    """
    Name the province, autonomous region or municipality of a block of numbers: ``"Guangdong"``, ``"广东"``.

    It is where the block was handed out; where its people are is not told. The first call loads the
    library's places of all countries: 0.8 s and 100 MB.

    :param prefix: the first seven digits of national mobile numbers.
    :return: the name, ``"unknown"`` for landlines and blocks that nobody lists.
    """
    from phonenumbers import geocoder

    number = _number(prefix)
    if number is None:
        return UNKNOWN
    # "Shenzhen, Guangdong"; "Beijing" alone; "China" where nobody knows more.
    place = geocoder.description_for_number(number, "en").rpartition(", ")[2]
    chinese = _PROVINCES.get(place)
    if chinese is None:
        return UNKNOWN
    return chinese if language == "zh" else place


def in_chinese(name: str) -> str:
    """Give the Chinese name of a carrier or province; the name itself where nobody knows it."""
    return _CARRIERS.get(name) or _PROVINCES.get(name, name)


def _number(prefix: str) -> Any:
    from phonenumbers import PhoneNumber

    if len(prefix) < PREFIX or not prefix.startswith(_MOBILE_START) or not prefix.isdigit():
        return None
    return PhoneNumber(country_code=_CHINA, national_number=int(prefix + _PADDING))
