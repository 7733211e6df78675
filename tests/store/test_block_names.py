"""Blocks of numbers have the names that the tables of carriers give them, each asked for once."""

from __future__ import annotations

import pytest

from airflow_provider_sms.store.carriers import carrier_of_prefix, province_of_prefix
from airflow_provider_sms.store.frames.blocks import BlockNames

BLOCKS = ["1000000", "1380013", "1300220", "1860000", "1890000", "1990000", "1999999"]
OTHERS = [
    "",
    "1",
    "13800",
    "0755123",
    "2000000",
    "１380013",
    "1１80013",
    "138001x",
    "-100000",
    "1_00000",
    "1 00000",
]


@pytest.mark.parametrize("name_of", [carrier_of_prefix, province_of_prefix])
def test_names_are_those_of_the_table(name_of):
    names = BlockNames(name_of)
    every = [*BLOCKS, *OTHERS]
    assert [names(block) for block in [*every, *reversed(every)]] == [
        name_of(block) for block in [*every, *reversed(every)]
    ]


def test_a_block_is_looked_up_once():
    asked = []

    def name_of(block):
        asked.append(block)
        return block[-1]

    names = BlockNames(name_of)
    assert [names(block) for block in BLOCKS * 3] == [block[-1] for block in BLOCKS] * 3
    assert asked == BLOCKS
