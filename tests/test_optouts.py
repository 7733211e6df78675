from __future__ import annotations

import pytest

from airflow_provider_sms.optouts import OptOuts


@pytest.mark.parametrize(
    "content",
    ["TD", "td", " Td。", "ＴＤ", "T", "n", "R", "回复TD", "回T", "退订", "请帮我退订!", "TD退订", "拒收",
     "退 订", "你们不要再发了", "STOP", "Unsubscribe."],
)  # fmt: skip
def test_replies_that_ask_for_silence(content):
    """Whatever their case, width and punctuation."""
    assert OptOuts().matches(content)


@pytest.mark.parametrize("content", ["", "好的", "TDK电容有货吗", "NO", "不退", "Thanks", "1", "tt"])
def test_other_replies(content):
    assert not OptOuts().matches(content)


def test_the_words_can_be_chosen():
    """A list of one's own takes the place of the usual one; an empty one does not."""
    own = OptOuts.of("0000， 滚")
    assert own.matches("0000")
    assert own.matches("滚开")
    assert not own.matches("TD")
    assert OptOuts.of(" ").matches("TD")
