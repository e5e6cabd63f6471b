"""
A cache with a limit in bytes, which all sessions share.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Generic, TypeVar

from analysis.frames import Repeat

Thing = TypeVar("Thing")


@dataclass(slots=True)
class Kept(Generic[Thing]):
    """What was used last, up to a number of bytes and of things."""

    most_bytes: int
    most: int
    things: OrderedDict[Any, tuple[Thing, int]] = field(default_factory=OrderedDict)
    bytes: int = 0
    lock: Lock = field(default_factory=Lock)

    def get(self, key: Any) -> Thing | None:
        with self.lock:
            if key not in self.things:
                return None
            self.things.move_to_end(key)
            return self.things[key][0]

    def keep(self, key: Any, thing: Thing, size: int = 0) -> None:
        if size > self.most_bytes:
            return  # or nothing else would have room
        with self.lock:
            _, before = self.things.pop(key, (thing, 0))
            self.bytes += size - before
            self.things[key] = (thing, size)
            while self.bytes > self.most_bytes or len(self.things) > self.most:
                _, (_, freed) = self.things.popitem(last=False)
                self.bytes -= freed


def size(thing: Any) -> int:
    """Bytes of the requests in it; anything else is small."""
    if isinstance(thing, Repeat):
        arrays = (thing.response_ms, thing.service_ms, thing.censored, thing.due_s, thing.failed_s)
        return sum(array.nbytes for array in (*arrays, *thing.stages_ms.values()))
    return 0
