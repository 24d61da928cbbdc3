"""Who trains and who tests: people and linked files stay on one side."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfd_core.errors import DataError
from trainer.data.layouts import LabelledFile
from trainer.data.splits import Shares, check_disjoint, split_files


def pairs(count: int) -> list[LabelledFile]:
    """Originals, and both swaps of each pair of neighbours, as in FaceForensics++."""
    real = [LabelledFile(Path(f"{n}.mp4"), False, (str(n),)) for n in range(count)]
    swaps = [(n, n ^ 1) for n in range(count)]
    return real + [LabelledFile(Path(f"{a}_{b}.mp4"), True, (str(a), str(b))) for a, b in swaps]


def test_linked_pairs_stay_together_and_shares_hold() -> None:
    placed, left_out = split_files(pairs(80), Shares(0.2, 0.2), seed=3, official=True)
    assert left_out == []
    sides: dict[str, set[str | None]] = {}
    for file in placed:
        for identity in file.identities:
            sides.setdefault(identity, set()).add(file.split)
    assert all(len(split) == 1 for split in sides.values())
    assert all(sides[str(n)] == sides[str(n ^ 1)] for n in range(80))
    counts = [sum(f.split == split for f in placed) for split in ("train", "validation", "test")]
    assert counts == [96, 32, 32]


def test_groups_of_fakes_only_may_have_another_share() -> None:
    files = [LabelledFile(Path(f"{n}.jpg"), n % 2 == 1, (str(n),)) for n in range(200)]
    placed, _ = split_files(files, Shares(0.1, 0, fakes=0.4), seed=1, official=True)
    held_out = [f.fake for f in placed if f.split == "validation"]
    assert [held_out.count(fake) for fake in (False, True)] == [10, 40]
    with pytest.raises(DataError, match="--validation-fakes"):
        Shares(0.1, 0.3, fakes=0.7)


def test_a_split_depends_on_the_seed_alone() -> None:
    one, two, other = (split_files(pairs(40), Shares(), seed, official=True)[0] for seed in (1, 1, 2))
    assert one == two
    assert one != other


def test_where_all_are_linked_the_files_across_are_left_out() -> None:
    people = [str(n) for n in range(12)]
    real = [LabelledFile(Path(f"{p}-{k}.mp4"), False, (p,)) for p in people for k in range(3)]
    fake = [LabelledFile(Path(f"{a}_{b}.mp4"), True, (a, b)) for a in people for b in people if a != b]
    placed, left_out = split_files(real + fake, Shares(0.25, 0.25), seed=1, official=True)
    assert len(placed) + len(left_out) == len(real) + len(fake)
    assert left_out
    assert all(f.fake for f in left_out)
    check_disjoint((f.split or "", f.identities) for f in placed)


def test_the_official_test_files_win_over_training_ones() -> None:
    files = pairs(20)
    files = [
        LabelledFile(f.path, f.fake, f.identities, split="test" if "0" in f.identities else "train") for f in files
    ]
    placed, left_out = split_files(files, Shares(0, 0.1), seed=1, official=True)
    assert {f.path.stem for f in placed if f.split == "test"} == {"0", "0_1", "1_0"}
    assert [f.path.stem for f in left_out] == ["1"]
    assert len(split_files(files, Shares(0, 0.1), seed=1, official=False)[1]) == 0


def test_one_group_cannot_be_split() -> None:
    files = [LabelledFile(Path(f"{n}.mp4"), n % 2 == 0, ("ann",)) for n in range(10)]
    with pytest.raises(DataError, match=r"1 group\(s\)"):
        split_files(files, Shares(), seed=1, official=True)
    placed, _ = split_files(files, Shares(0, 0), seed=1, official=True)
    assert {f.split for f in placed} == {"train"}


def test_a_split_without_a_class_is_refused() -> None:
    files = [LabelledFile(Path(f"{n}.mp4"), n == 0, (str(n),)) for n in range(10)]
    with pytest.raises(DataError, match="has no fake file"):
        split_files(files, Shares(), seed=1, official=True)


def test_shares_must_leave_something() -> None:
    with pytest.raises(DataError, match="below 1"):
        Shares(0.6, 0.4)
    with pytest.raises(DataError, match="below 1"):
        Shares(float("nan"), 0.1)
