"""Who trains and who tests: people and source videos stay on one side, and no code path gets around that.

Frames of one video, or of one person, on both sides let a network win by recognising them; see docs/leakage.md.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np

from dfd_core.errors import DataError
from trainer.data.layouts import CLASSES, SPLITS, LabelledFile

GROUP, OFFICIAL, RANDOM_FRAMES = "group", "official", "random-frames"
KINDS = (GROUP, OFFICIAL, RANDOM_FRAMES)
WHY_NOT_RANDOM = (
    "A random split of frames puts frames of one video on both sides: the figure then says how well the network "
    "remembers videos, not how well it finds fakes. The data set is marked, and is for comparison only."
)
_TOO_LINKED = 0.5  # of all files in one linked cluster: identities are assigned one by one instead


@dataclass(frozen=True, slots=True)
class Shares:
    """What validation and test get of the files, 0 to 1; train gets the rest.

    `fakes`: what validation gets of the groups that hold fakes only, None for as much as of all.
    """

    validation: float = 0.15
    test: float = 0.15
    fakes: float | None = None

    def __post_init__(self) -> None:
        for validation in (self.validation, self.validation if self.fakes is None else self.fakes):
            if not (validation >= 0 and self.test >= 0 and validation + self.test < 1):  # NaN is none of it
                raise DataError(
                    "--validation, --validation-fakes and --test are shares of the files: 0 or more, of each class "
                    "together below 1."
                )

    def wanted(self, kind: Set[bool] = frozenset(CLASSES)) -> dict[str, float]:
        """Share by split of groups of this kind, those of nothing left out."""
        validation = self.fakes if kind == {True} and self.fakes is not None else self.validation
        all_shares = zip(SPLITS, (1 - validation - self.test, validation, self.test), strict=True)
        return {split: share for split, share in all_shares if share > 0}


def split_files(
    files: Sequence[LabelledFile], shares: Shares, seed: int, official: bool, classes: Sequence[bool] = CLASSES
) -> tuple[list[LabelledFile], list[LabelledFile]]:
    """Files with their splits, and those left out since their identities are on different sides.

    With `official` the collection's own choice stands where it makes one. Who is on several sides there stays in test,
    or else where most of his files are. DataError where there are too few groups, or a split without one of `classes`.
    """
    fixed = [f for f in files if f.split is not None] if official else []
    side_of = _official_sides(fixed)
    placed: list[LabelledFile] = []
    left_out: list[LabelledFile] = []
    for file in fixed:
        (placed if {side_of[i] for i in file.identities} == {file.split} else left_out).append(file)
    free = [f for f in files if not (official and f.split is not None)]
    side_of |= _sides_of_clusters(free, side_of, shares, seed)
    for file in free:
        sides = {side_of[i] for i in file.identities if i in side_of}
        if len(sides) == 1:
            placed.append(replace(file, split=sides.pop()))
        else:
            left_out.append(file)
    check_disjoint((f.split or "", f.identities) for f in placed)
    _check_classes(placed, shares, classes)
    return placed, left_out


def _official_sides(files: Sequence[LabelledFile]) -> dict[str, str]:
    """The side of each identity: test where a file of it is, else that of most of its files."""
    claims: dict[str, Counter[str]] = defaultdict(Counter)
    for file in files:
        for identity in file.identities:
            claims[identity][file.split or ""] += 1
    return {
        identity: max(counts, key=lambda split: (split == SPLITS[2], counts[split], split))
        for identity, counts in claims.items()
    }


def check_disjoint(rows: Iterable[tuple[str, Sequence[str]]]) -> None:
    """DataError when an identity of the rows (split, identities) is in two splits."""
    side_of: dict[str, str] = {}
    for split, identities in rows:
        for identity in identities:
            if side_of.setdefault(identity, split) != split:
                raise DataError(
                    f"The group '{identity}' is in both {side_of[identity]} and {split}: scores would be meaningless. "
                    "Build the data set again with --split group."
                )


def _sides_of_clusters(
    files: Sequence[LabelledFile], known: dict[str, str], shares: Shares, seed: int
) -> dict[str, str]:
    """Split by identity for those of `files` that have none yet; linked ones together where that leaves a choice."""
    clusters = _clusters(files)
    size = Counter(cluster for f in files for cluster in {clusters[i] for i in f.identities})
    if size and max(size.values()) > _TOO_LINKED * len(files):
        clusters = {identity: identity for identity in clusters}
    sides: dict[str, str] = {}
    members: dict[str, list[str]] = defaultdict(list)
    for identity, cluster in clusters.items():
        members[cluster].append(identity)
    open_clusters = []
    for cluster, identities in members.items():
        claimed = {known[i] for i in identities if i in known}
        if len(claimed) == 1:
            sides |= dict.fromkeys((i for i in identities if i not in known), claimed.pop())
        elif not claimed:
            open_clusters.append(cluster)
    wanted = shares.wanted()
    if files and not known and len(open_clusters) < len(wanted):
        raise DataError(
            f"The files form {len(open_clusters)} group(s), which cannot be split into {' and '.join(wanted)}: "
            "add other people's videos, or set --validation 0 --test 0."
        )
    for cluster, split in _deal(files, clusters, open_clusters, shares, seed).items():
        sides |= dict.fromkeys(members[cluster], split)
    return sides


def _clusters(files: Sequence[LabelledFile]) -> dict[str, str]:
    """For each identity a representative of all that are linked with it by a file (union-find)."""
    parent: dict[str, str] = {}

    def root(identity: str) -> str:
        parent.setdefault(identity, identity)
        while parent[identity] != identity:
            parent[identity] = identity = parent[parent[identity]]
        return identity

    for file in files:
        for other in file.identities:
            parent[root(other)] = root(file.identities[0])
    return {identity: root(identity) for identity in parent}


def _deal(
    files: Sequence[LabelledFile], clusters: dict[str, str], chosen: Sequence[str], shares: Shares, seed: int
) -> dict[str, str]:
    """A split for each of the `chosen` clusters, such that every split gets its share of each kind of cluster.

    Kinds are real only, fake only and both; the largest clusters go first, each to where most is missing.
    """
    files_of: dict[str, list[LabelledFile]] = defaultdict(list)
    for file in files:
        files_of[clusters[file.identities[0]]].append(file)
    order = np.random.default_rng(seed).permutation(len(chosen))
    shuffled = sorted((chosen[n] for n in order), key=lambda c: -len(files_of[c]))
    kinds: dict[frozenset[bool], list[str]] = defaultdict(list)
    for cluster in shuffled:
        kinds[frozenset(f.fake for f in files_of[cluster])].append(cluster)
    dealt: dict[str, str] = {}
    for kind, of_kind in kinds.items():
        total = sum(len(files_of[c]) for c in of_kind)
        missing = {split: share * total for split, share in shares.wanted(kind).items()}
        for cluster in of_kind:
            split = max(missing, key=lambda s: (missing[s], -SPLITS.index(s)))
            dealt[cluster] = split
            missing[split] -= len(files_of[cluster])
    return dealt


def _check_classes(placed: Sequence[LabelledFile], shares: Shares, classes: Sequence[bool]) -> None:
    for split in shares.wanted():
        for fake in classes:
            name = "fake" if fake else "real"
            if not any(f.split == split and f.fake is fake for f in placed):
                raise DataError(
                    f"The split '{split}' has no {name} file: add groups, try another --seed, or set its share to 0."
                )
