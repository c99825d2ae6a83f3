"""`validate`: each check is seen passing on good jets, and failing on a fault planted for it, at the right place."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from jetformer_data import schema, verdicts
from jetformer_data.cli import app
from jetformer_data.errors import DataError
from jetformer_data.features import FEATURE_SETS, to_jets
from jetformer_data.jets import Jets, Normalisation, offsets_of
from jetformer_data.looking.duplicates import DuplicateFinder, Repeated, content_hashes
from jetformer_data.raw import RawJets
from jetformer_data.testing import example_jets
from jetformer_data.testing.source_examples import WRITERS
from jetformer_data.testing.source_faults import mutations

JETS, CLASSES = 120, ("g", "q", "W")


def raw_jets(jets: int = JETS, seed: int = 1) -> RawJets:
    """Particles with all that can be checked of them."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(5, 30, jets)
    offsets = offsets_of(counts)
    jet, rows = np.repeat(np.arange(jets), counts), int(offsets[-1])
    pt = rng.exponential(20, rows) + 1
    pt = pt[np.lexsort((-pt, jet))]
    eta = rng.uniform(-1.5, 1.5, jets)[jet] + 0.1 * rng.normal(size=rows)
    phi = rng.uniform(-3, 3, jets)[jet] + 0.02 * rng.normal(size=rows)
    kind = rng.integers(0, 5, rows)
    flags = ("is_charged_hadron", "is_neutral_hadron", "is_photon", "is_electron", "is_muon")
    return RawJets(
        {
            "px": pt * np.cos(phi),
            "py": pt * np.sin(phi),
            "pz": pt * np.sinh(eta),
            "energy": np.hypot(pt * np.cosh(eta), 0.14),
            "charge": np.where(kind == 0, rng.choice([-1, 1], rows), 0),
            **{name: (kind == k).astype(int) for k, name in enumerate(flags)},
            "d0": np.zeros(rows),
            "d0_error": np.zeros(rows),
            "dz": np.zeros(rows),
            "dz_error": np.zeros(rows),
        },
        offsets,
        np.arange(jets) % len(CLASSES),
        CLASSES,
    )


def particles(jets: int = JETS) -> Jets:
    made, _ = to_jets(raw_jets(jets), FEATURE_SETS["particles"])
    columns = len(made.feature_names)
    return replace(
        made,
        normalisation=Normalisation(np.zeros(columns), np.ones(columns)),
        provenance={"program": "a test"},
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    schema.write(tmp_path / "jets.h5", particles())
    return tmp_path / "jets.h5"


def verdict(path: Path, name: str) -> verdicts.Verdict:
    (found,) = (v for v in verdicts.validate(path) if v.name == name)
    return found


def test_good_jets_pass_every_check(file: Path) -> None:
    found = {v.name: v.level for v in verdicts.validate(file)}
    names = [
        *(rule.name for rule in verdicts.RULES),
        "readable",
        "labels",
        "balance",
        "finite",
        "empty",
        "cut",
    ]
    assert set(found) == {*names, "duplicates", "normalisation", "provenance"}
    # absolute angles follow from the momenta here
    assert {name: level for name, level in found.items() if level != "ok"} == {"phi": "skip"}


def test_example_jets_pass(tmp_path: Path) -> None:
    schema.write(tmp_path / "jets.h5", example_jets(200, seed=2))
    assert {v.level for v in verdicts.validate(tmp_path / "jets.h5")} <= {"ok", "skip", "warn"}
    assert verdict(tmp_path / "jets.h5", "phi").level == "ok"
    assert verdict(tmp_path / "jets.h5", "energy").level == "skip"
    assert verdict(tmp_path / "jets.h5", "normalisation").level == "warn"


JET = 37
ROW = 3  # of that jet


def _set(dataset: str, column: str, value: float) -> Callable[[h5py.File], None]:
    def plant(handle: h5py.File) -> None:
        kind = "feature_names" if dataset == "constituents" else "jet_feature_names"
        names = [n.decode() if isinstance(n, bytes) else n for n in handle.attrs[kind]]
        row = int(handle["offsets"][JET]) + ROW if dataset == "constituents" else JET
        handle[dataset][row, names.index(column)] = value

    return plant


def _both_momenta(value: float) -> Callable[[h5py.File], None]:
    def plant(handle: h5py.File) -> None:
        for name in ("px", "py"):
            _set("constituents", name, value)(handle)

    return plant


def _kinds(photon: float, muon: float) -> Callable[[h5py.File], None]:
    def plant(handle: h5py.File) -> None:
        for name in ("is_charged_hadron", "is_neutral_hadron", "is_electron"):
            _set("constituents", name, 0)(handle)
        _set("constituents", "is_photon", photon)(handle)
        _set("constituents", "is_muon", muon)(handle)

    return plant


def _label(handle: h5py.File) -> None:
    handle["labels"][JET] = len(CLASSES)


def _swap(handle: h5py.File) -> None:
    row = int(handle["offsets"][JET]) + ROW
    rows = handle["constituents"][row - 1 : row + 1]
    handle["constituents"][row - 1 : row + 1] = rows[::-1]


def _offsets(handle: h5py.File) -> None:
    handle["offsets"][JET + 1] = handle["offsets"][JET] - 1


FAULTS: dict[str, tuple[str, Callable[[h5py.File], None], str]] = {
    "nan": ("finite", _set("constituents", "pz", np.nan), "pz = nan"),
    "infinite mass": ("finite", _set("jet_features", "jet_mass", np.inf), "jet_mass = inf"),
    "pt": ("pt", _both_momenta(0.0), "pt = 0"),
    "eta": ("eta", _set("constituents", "pz", 1e5), "eta = "),
    "energy": ("energy", _set("constituents", "energy", 0.01), "energy = 0.01"),
    "negative energy": ("energy", _set("constituents", "energy", -5.0), "energy = -5"),
    "charge": ("charge", _set("constituents", "charge", 2), "charge = 2"),
    "two kinds": ("kind", _kinds(1, 1), f"jet {JET}, constituent {ROW}"),
    "half a kind": ("kind", _kinds(0.5, 0), f"jet {JET}, constituent {ROW}"),
    "order": ("order", _swap, "sorted by falling pt"),
    "label": ("labels", _label, f"label {len(CLASSES)}"),
    "jet pt": ("jet pt", _set("jet_features", "jet_pt", -1.0), "jet_pt = -1"),
    "jet mass": ("jet mass", _set("jet_features", "jet_mass", -0.5), "jet_mass = -0.5"),
    "jet phi": ("jet phi", _set("jet_features", "jet_phi", 3.2), "jet_phi = 3.2"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_found_at_their_place(file: Path, fault: str) -> None:
    name, plant, text = FAULTS[fault]
    with h5py.File(file, "r+") as handle:
        plant(handle)
    found = verdict(file, name)
    assert found.level == "FAIL"
    assert found.jet == JET
    assert found.count == 1
    assert text in found.message
    assert f"jet {JET}" in found.message


def test_relative_angles_beyond_pi_are_found(tmp_path: Path) -> None:
    jets = example_jets(50, seed=1)
    jets.constituents[jets.offsets[JET], 2] = 3.2
    schema.write(tmp_path / "jets.h5", jets)
    assert verdict(tmp_path / "jets.h5", "phi").jet == JET
    jets.constituents[jets.offsets[JET], 2] = np.float32(np.pi)  # rounded up from just below pi
    schema.write(tmp_path / "jets.h5", jets)
    assert verdict(tmp_path / "jets.h5", "phi").level == "ok"


def test_what_cannot_be_read_does_not_hide_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "CHUNK_JETS", 16)
    schema.write(tmp_path / "jets.h5", particles())
    with h5py.File(tmp_path / "jets.h5", "r+") as handle:
        _offsets(handle)
        handle["labels"][90] = -1
    found = verdict(tmp_path / "jets.h5", "readable")
    assert found.level == "FAIL"
    assert found.jet == JET
    assert 1 <= found.count <= 2
    assert f"at jet {JET}" in found.message
    assert verdict(tmp_path / "jets.h5", "labels").jet == 90


def test_sizes_of_classes(tmp_path: Path) -> None:
    jets = particles()
    schema.write(tmp_path / "jets.h5", jets.select(np.r_[np.flatnonzero(jets.labels < 2), 2]))
    found = verdict(tmp_path / "jets.h5", "balance")
    assert found.level == "warn"
    assert "W has 1 jets, g 40" in found.message
    schema.write(tmp_path / "jets.h5", jets.select(jets.labels < 2))
    assert verdict(tmp_path / "jets.h5", "balance").message == "1 of 3 classes have no jets: W"


def test_jets_without_constituents(tmp_path: Path) -> None:
    jets = example_jets(60, seed=1, empty=2)
    schema.write(tmp_path / "jets.h5", jets.select(np.arange(60)[::-1]))
    found = verdict(tmp_path / "jets.h5", "empty")
    assert (found.level, found.count, found.jet) == ("warn", 2, 58)
    schema.write(tmp_path / "jets.h5", jets.select(np.arange(2)))
    assert verdict(tmp_path / "jets.h5", "empty").level == "FAIL"
    assert verdict(tmp_path / "jets.h5", "finite").level == "ok"


@pytest.mark.parametrize("most", (10, 18))
def test_jets_cut_at_a_number_of_constituents(tmp_path: Path, most: int) -> None:
    made, _ = to_jets(raw_jets(400), FEATURE_SETS["hls4ml-3"], max_constituents=most)
    schema.write(tmp_path / "jets.h5", made)
    found = verdict(tmp_path / "jets.h5", "cut")
    assert found.level == "warn"
    assert f"exactly {most} constituents" in found.message
    assert found.count == int((made.multiplicity == most).sum())
    schema.write(tmp_path / "jets.h5", replace(made, provenance={"max_constituents": most}))
    assert verdict(tmp_path / "jets.h5", "cut").level == "ok"
    schema.write(tmp_path / "jets.h5", replace(made, provenance={"max_constituents": most + 1}))
    assert verdict(tmp_path / "jets.h5", "cut").level == "warn"


def test_duplicates_are_found_whatever_their_order_and_place(tmp_path: Path) -> None:
    jets = particles(600)
    some = np.r_[np.arange(600), 12, 5, 12]
    schema.write(tmp_path / "jets.h5", jets.select(some))
    found = verdict(tmp_path / "jets.h5", "duplicates")
    assert (found.level, found.count, found.jet) == ("FAIL", 3, 600)
    assert "jet 600 is jet 12" in found.message
    assert "another class" not in found.message


def test_few_duplicates_are_a_warning_unless_their_classes_differ(tmp_path: Path) -> None:
    jets = particles(2_000)
    again = jets.select(np.r_[np.arange(2_000), 7])
    schema.write(tmp_path / "jets.h5", again)
    assert verdict(tmp_path / "jets.h5", "duplicates").level == "warn"
    labels = again.labels.copy()
    labels[-1] = (labels[-1] + 1) % len(CLASSES)
    schema.write(tmp_path / "jets.h5", replace(again, labels=labels))
    found = verdict(tmp_path / "jets.h5", "duplicates")
    assert found.level == "FAIL"
    assert "1 of them in another class" in found.message


def test_the_hash_sees_every_number_and_no_order() -> None:
    raw = raw_jets(50)
    hashes = content_hashes(raw)
    assert len(np.unique(hashes)) == 50
    rows = np.arange(raw.offsets[-1])
    rows[raw.offsets[4] : raw.offsets[5]] = rows[raw.offsets[4] : raw.offsets[5]][::-1]
    turned = replace(raw, constituents={name: values[rows] for name, values in raw.constituents.items()})
    np.testing.assert_array_equal(content_hashes(turned), hashes)
    for name, values in raw.constituents.items():
        other = values.astype(float)
        other[raw.offsets[9]] = np.nextafter(other[raw.offsets[9]], np.inf)
        changed = content_hashes(replace(raw, constituents={**raw.constituents, name: other}))
        np.testing.assert_array_equal(np.flatnonzero(changed != hashes), [9])


def test_the_finder_goes_to_disk_and_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = raw_jets(300).select(np.r_[np.arange(300), 3, 200])

    def found() -> Repeated:
        with DuplicateFinder() as finder:
            for start in range(0, len(raw), 50):
                finder.add(raw.select(np.arange(start, min(start + 50, len(raw)))), start)
            return finder.repeated()

    in_memory = found()
    monkeypatch.setattr("jetformer_data.looking.duplicates._IN_MEMORY", 24)
    assert found() == in_memory
    assert in_memory.jets == 2
    assert in_memory.first == (300, 3)


def test_what_is_not_recorded_is_a_warning(tmp_path: Path) -> None:
    schema.write(tmp_path / "jets.h5", replace(particles(), provenance={}, normalisation=None))
    assert verdict(tmp_path / "jets.h5", "provenance").level == "warn"
    assert verdict(tmp_path / "jets.h5", "normalisation").level == "warn"


def test_no_jets_is_a_fail(tmp_path: Path) -> None:
    schema.write(tmp_path / "jets.h5", particles().select(np.zeros(JETS, bool)))
    assert verdict(tmp_path / "jets.h5", "readable").level == "FAIL"


def test_command_says_a_line_a_check_and_fails_where_one_fails(file: Path) -> None:
    good = CliRunner().invoke(app, ["validate", str(file)])
    assert good.exit_code == 0
    lines = good.stdout.splitlines()
    assert len(lines) == len(verdicts.validate(file))
    assert all(line.split()[0] in ("ok", "warn", "skip") for line in lines)
    with h5py.File(file, "r+") as handle:
        _label(handle)
    bad = CliRunner().invoke(app, ["validate", str(file)])
    assert bad.exit_code == 1
    assert f"FAIL  labels: 1 jets lie outside the 3 classes (jet {JET}: label 3)" in bad.stdout
    as_json = CliRunner().invoke(app, ["validate", str(file), "--json"])
    assert as_json.exit_code == 1
    found = json.loads(as_json.stdout)
    assert not found["valid"]
    assert {"name": "labels", "level": "FAIL", "count": 1, "jet": JET}.items() <= found["checks"][1].items()


def four_vectors(path: Path, raw: RawJets, **changed: np.ndarray) -> Path:
    p4 = np.stack([raw.column(name) for name in ("px", "py", "pz", "energy")], axis=1).astype(np.float32)
    np.savez(path, **{"p4": p4, "offsets": raw.offsets, "labels": raw.labels, **changed})
    return path


def test_files_of_others_may_be_unsorted_but_not_broken(tmp_path: Path) -> None:
    raw = raw_jets()
    good = four_vectors(tmp_path / "good.npz", raw)
    levels = {v.name: v.level for v in verdicts.validate(good)}
    assert set(levels.values()) == {"ok", "skip"}
    assert levels["energy"] == levels["order"] == "ok"
    assert levels["provenance"] == levels["normalisation"] == "skip"
    row = int(raw.offsets[JET]) + ROW
    p4 = np.load(good)["p4"]
    p4[[row - 1, row]] = p4[[row, row - 1]]
    p4[row + 1, 3] *= 0.999
    found = {v.name: v for v in verdicts.validate(four_vectors(tmp_path / "odd.npz", raw, p4=p4))}
    assert (found["order"].level, found["order"].jet) == ("warn", JET)
    assert (found["energy"].level, found["energy"].jet) == ("warn", JET)
    assert not [v for v in found.values() if v.level == "FAIL"]


def test_jets_that_a_reader_refuses_are_counted_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = raw_jets()
    p4 = np.load(four_vectors(tmp_path / "good.npz", raw))["p4"]
    bad = [5, 60, JET]
    p4[raw.offsets[bad], 0] = np.nan
    p4[raw.offsets[100] :, 2] *= 1.0
    path = four_vectors(tmp_path / "bad.npz", raw, p4=p4)
    found = {v.name: v for v in verdicts.validate(path)}
    assert (found["readable"].level, found["readable"].count, found["readable"].jet) == ("FAIL", 3, 5)
    assert "jet 5" in found["readable"].message
    # the other jets are checked all the same
    assert f"{JETS - 3} jets in 3 classes" in found["labels"].message
    assert found["duplicates"].level == "ok"
    # where very much is wrong, the rest of a piece is given up
    monkeypatch.setattr(verdicts, "_MOST_UNREADABLE", 1)
    given_up = next(v for v in verdicts.validate(path) if v.name == "readable")
    assert given_up.level == "FAIL"
    assert given_up.jet == 5
    assert given_up.count > 3


NEEDS = {
    "jetclass": ("uproot", "awkward"),
    "jetclass2": ("pyarrow",),
    "parquet_lists": ("pyarrow",),
    "parquet_numbered": ("pyarrow",),
}


def is_accepted(path: Path) -> bool:
    try:
        return all(v.level != "FAIL" for v in verdicts.validate(path))
    except DataError:
        return False


@pytest.mark.parametrize("kind", WRITERS)
def test_what_cannot_be_is_found_in_files_of_every_kind(tmp_path: Path, kind: str) -> None:
    for module in NEEDS.get(kind, ()):
        pytest.importorskip(module)
    damaged = (m for m in mutations(kind, tmp_path, np.random.default_rng(3), 45) if m.refused is not None)
    seen = {(m.refused, is_accepted(m.path), m.what) for m in damaged}
    assert not [what for refused, accepted, what in seen if accepted == refused]
    assert {refused for refused, _, _ in seen} == {True, False}
