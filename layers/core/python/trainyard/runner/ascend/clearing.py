"""What a run left in OBS is removed once it is at home: storage there is paid for as long as something lies in it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from trainyard.compute.modelarts.place import Place
from trainyard.store.objects import Objects

_PARALLEL = 8


def is_being_cleared(obs: Objects, place: Place) -> bool:
    """All was at home before; what lies here is what an interrupted clearing had no time for."""
    return obs.size(place.home) is not None


def clear(obs: Objects, place: Place) -> int:
    """Remove everything of the run; how many objects that were. What was interrupted is finished by calling again."""
    obs.put(place.home, b"")
    obs.abort_uploads(place.prefix)
    keys = [entry.key for entry in obs.find(place.prefix) if entry.key != place.home]
    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="clear") as pool:
        list(pool.map(obs.delete_one, keys))
    # Last: as long as it lies there, nobody takes the rest for all that the run left.
    obs.delete_one(place.home)
    return len(keys)
