"""Every proof by its number; a module is imported when its turn comes, since some start much."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from figures import Proof

#: Number and module; each module has a ``PROOF``.
MODULES = {
    "R1": "kills",
    "R2": "stops",
    "R3": "raises",
    "R4": "cuts",
    "R5": "garbage",
    "R6": "sends",
    "R7": "stores",
    "R8": "many_workers",
    "R9": "fuzzing",
    "R10": "canaries",
    "R11": "push",
    "R12": "attacks",
}


def proof_of(number: str) -> Proof:
    """Import a proof."""
    proof: Proof = importlib.import_module(MODULES[number]).PROOF
    return proof
