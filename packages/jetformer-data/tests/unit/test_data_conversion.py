"""From files of other layouts to one of ours: same jets for any shards and workers, and an account of what was left out."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from jetformer_data import schema
from jetformer_data.conversion import OTHER_CLASSES, convert, fingerprint
from jetformer_data.errors import DataError, MissingExtraError
from jetformer_data.features import BELOW_MIN_PT, BEYOND_MAX, find_feature_set, to_jets
from jetformer_data.jets import Jets, concatenate, offsets_of
from jetformer_data.layouts import write_layout
from jetformer_data.raw import RawJets
from jetformer_data.shards import folder_of
from jetformer_data.sources import open_source
from jetformer_data.workers import Processes

pytest.importorskip("uproot", reason="needs the extra 'root'")

CLASSES = ("QCD", "Hbb", "Hcc", "Hgg", "H4q", "Hqql", "Zqq", "Wqq", "Tbqq", "Tbl")
KINDS = ("is_charged_hadron", "is_neutral_hadron", "is_photon", "is_electron", "is_muon")


def some_jets(jets: int, seed: int, classes: tuple[str, ...] = CLASSES) -> RawJets:
    """Made-up jets with everything that JetClass knows of them; not physics."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 23, jets)
    offsets, jet = offsets_of(counts), np.repeat(np.arange(jets), counts)
    pt = rng.exponential(20, len(jet)) + 0.3
    eta = rng.uniform(-1.8, 1.8, jets)[jet] + rng.normal(scale=0.2, size=len(jet))
    phi = rng.uniform(-3, 3, jets)[jet] + rng.normal(scale=0.2, size=len(jet))
    kind = rng.integers(0, 5, len(jet))
    columns = {
        "px": pt * np.cos(phi),
        "py": pt * np.sin(phi),
        "pz": pt * np.sinh(eta),
        "energy": np.hypot(pt * np.cosh(eta), 0.14),
        "charge": np.where(np.isin(kind, (1, 2)), 0, rng.choice((-1, 1), len(jet))),
        **{name: kind == k for k, name in enumerate(KINDS)},
        **{name: rng.normal(scale=0.1, size=len(jet)) for name in ("d0", "dz")},
        **{name: rng.uniform(0, 0.2, len(jet)) for name in ("d0_error", "dz_error")},
    }
    return RawJets(
        {name: values.astype(np.float32) for name, values in columns.items()},
        offsets,
        rng.integers(0, len(classes), jets),
        classes,
        where="made-up jets",
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two ROOT files in the layout of JetClass, of 61 and 37 jets."""
    folder = tmp_path_factory.mktemp("root")
    for name, jets in (("a", 61), ("b", 37)):
        write_layout([some_jets(jets, seed=jets)], folder / f"{name}.root", "jetclass")
    return folder


def expected(folder: Path, features: str, **cuts: float) -> Jets:
    """All jets, computed at once and in this process."""
    parts = []
    for path in sorted(folder.glob("*.root")):
        with open_source(path) as source:
            parts.append(to_jets(source.read(), find_feature_set(features), **cuts)[0])
    return concatenate(parts)


def assert_same(jets: Jets, other: Jets) -> None:
    for name in ("constituents", "offsets", "labels", "jet_features"):
        np.testing.assert_array_equal(getattr(jets, name), getattr(other, name))
    assert jets.feature_names == other.feature_names
    assert jets.class_names == other.class_names


@pytest.mark.parametrize("features", ("jetclass-17", "hls4ml-16", "p4-7", "particles"))
def test_the_jets_are_those_of_the_sources_in_their_order(
    tmp_path: Path, folder: Path, features: str
) -> None:
    outcome = convert(folder, tmp_path / "jets.h5", features)
    jets = schema.read(tmp_path / "jets.h5")
    assert_same(jets, expected(folder, features))
    assert (outcome.jets, outcome.reused) == (98, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["jets.h5"]


def test_neither_shards_nor_workers_matter(tmp_path: Path, folder: Path) -> None:
    whole = convert(folder, tmp_path / "whole.h5", "jetclass-17")
    progress: list[int] = []
    parts = convert(
        *(folder, tmp_path / "parts.h5", "jetclass-17"),
        backend=Processes(2),
        progress=progress.append,
        shard_jets=13,
    )
    assert_same(schema.read(whole.path), schema.read(parts.path))
    assert progress[-1] == 98
    assert progress == sorted(progress)


def test_published_constants_are_kept_and_others_come_from_the_training_split(
    tmp_path: Path, folder: Path
) -> None:
    convert(folder, tmp_path / "a.h5", "jetclass-17")
    normalisation = schema.read(tmp_path / "a.h5").normalisation
    assert normalisation is not None
    np.testing.assert_allclose(normalisation.mean[:5], [1.7, 2.0, -4.7, -4.7, 0.2])
    np.testing.assert_allclose(1 / normalisation.std[:5], [0.7, 0.7, 0.7, 0.7, 4.0])
    convert(folder, tmp_path / "b.h5", "hls4ml-3")
    from jetformer_data.statistics import training_normalisation

    jets = schema.read(tmp_path / "b.h5")
    again = training_normalisation(tmp_path / "b.h5", int(jets.multiplicity.max()))
    assert jets.normalisation is not None
    np.testing.assert_allclose(jets.normalisation.mean, again.mean, rtol=1e-9)


def test_what_is_left_out_is_counted(tmp_path: Path, folder: Path) -> None:
    outcome = convert(
        *(folder, tmp_path / "jets.h5", "hls4ml-3"),
        max_constituents=5,
        min_pt=3.0,
        classes=["Tbl", "QCD"],
        shard_jets=20,
    )
    jets, everything = schema.read(tmp_path / "jets.h5"), expected(folder, "hls4ml-3")
    chosen = np.flatnonzero(np.isin(everything.labels, (CLASSES.index("Tbl"), CLASSES.index("QCD"))))
    assert jets.class_names == ("Tbl", "QCD")
    assert jets.labels.tolist() == [0 if everything.labels[j] == 9 else 1 for j in chosen]
    of_classes = everything.select(chosen)
    hard = of_classes.column("pt") >= 3.0
    in_jet = np.add.reduceat(hard, of_classes.offsets[:-1])
    assert jets.multiplicity.tolist() == np.minimum(in_jet, 5).tolist()
    assert outcome.provenance["dropped"] == {
        BELOW_MIN_PT: int((~hard).sum()),
        BEYOND_MAX: int(np.maximum(in_jet - 5, 0).sum()),
        OTHER_CLASSES: 98 - len(chosen),
    }


def test_provenance_says_what_was_read(tmp_path: Path, folder: Path) -> None:
    convert(folder, tmp_path / "jets.h5", "p4-7", min_pt=0.5)
    provenance = schema.read(tmp_path / "jets.h5").provenance
    assert provenance["program"] == "jetformer-data convert"
    assert provenance["min_pt_gev"] == 0.5
    content = (folder / "a.root").read_bytes()
    assert provenance["sources"][0] == {
        "file": "a.root",
        "format": "jetclass",
        "jets": 61,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def test_large_files_are_known_by_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jetformer_data.conversion._HASHED_WHOLE", 1000)
    monkeypatch.setattr("jetformer_data.conversion._PIECE", 10)
    path = tmp_path / "large"
    path.write_bytes(random.Random(1).randbytes(6400))
    first = fingerprint(path)
    assert set(first) == {"bytes", "sha256_of_pieces"}
    for place, seen in ((6395, True), (5, True), (50, False)):
        content = bytearray(path.read_bytes())
        content[place] ^= 1
        path.write_bytes(content)
        assert (fingerprint(path) != first) == seen
        content[place] ^= 1
        path.write_bytes(content)


def test_an_archive_is_unpacked_once_and_cleared_away(tmp_path: Path, folder: Path) -> None:
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as archive:
        archive.add(folder, "set")
    convert(tmp_path / "set.tar.gz", tmp_path / "jets.h5", "hls4ml-3")
    assert_same(schema.read(tmp_path / "jets.h5"), expected(folder, "hls4ml-3"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["jets.h5", "set.tar.gz"]


def test_our_own_files_are_sources_too(tmp_path: Path, folder: Path) -> None:
    convert(folder, tmp_path / "particles.h5", "particles")
    convert(tmp_path / "particles.h5", tmp_path / "again.h5", "hls4ml-3")
    direct = expected(folder, "hls4ml-3")
    again = schema.read(tmp_path / "again.h5")
    np.testing.assert_allclose(again.constituents, direct.constituents, atol=1e-5, rtol=1e-5)


def test_what_was_exported_comes_back_in_every_bit(tmp_path: Path, folder: Path) -> None:
    convert(folder, tmp_path / "first.h5", "particles")
    with open_source(tmp_path / "first.h5") as source:
        write_layout(source.chunks(40), tmp_path / "exported.root", "jetclass")
    convert(tmp_path / "exported.root", tmp_path / "second.h5", "particles")
    first, second = (schema.read(tmp_path / f"{name}.h5") for name in ("first", "second"))
    np.testing.assert_array_equal(first.constituents, second.constituents)
    np.testing.assert_array_equal(first.labels, second.labels)


def test_a_feature_set_of_ones_own(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_features.py").write_text(
        "import numpy as np\n"
        "from jetformer_data.features import Feature, FeatureSet\n"
        "MINE = FeatureSet('mine', (Feature('twice_pt', 'GeV', lambda raw: 2 * raw.column('pt')),), 'a thesis')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    convert(folder, tmp_path / "jets.h5", "my_features:MINE", backend=Processes(2))
    jets = schema.read(tmp_path / "jets.h5")
    pt = expected(folder, "hls4ml-3").column("pt")
    np.testing.assert_allclose(jets.column("twice_pt"), 2 * pt, rtol=1e-6)
    with pytest.raises(DataError, match="'my_features:np': is a module, expected a FeatureSet"):
        convert(folder, tmp_path / "other.h5", "my_features:np")


def test_a_finished_file_is_kept_and_another_refused(tmp_path: Path, folder: Path) -> None:
    convert(folder, tmp_path / "jets.h5", "hls4ml-3")
    assert convert(folder, tmp_path / "jets.h5", "hls4ml-3").reused == 98
    with pytest.raises(DataError, match=r"another 'min_pt_gev' \(0.0 there, 1.0 asked for\).*--overwrite"):
        convert(folder, tmp_path / "jets.h5", "hls4ml-3", min_pt=1.0)
    assert convert(folder, tmp_path / "jets.h5", "hls4ml-3", min_pt=1.0, overwrite=True).reused == 0


def test_shares_are_made_apart_and_merged_in_the_end(tmp_path: Path, folder: Path) -> None:
    out = tmp_path / "jets.h5"
    for number in (2, 1):
        outcome = convert(folder, out, "hls4ml-3", share=(number, 2), shard_jets=13)
        assert not outcome.is_merged
        assert not out.exists()
    assert convert(folder, out, "hls4ml-3", shard_jets=13).reused == 98
    assert_same(schema.read(out), expected(folder, "hls4ml-3"))
    with pytest.raises(DataError, match="share 3/2: expected a number from 1 to 2"):
        convert(folder, tmp_path / "other.h5", "hls4ml-3", share=(3, 2))


@pytest.mark.parametrize(
    ("change", "message"),
    (
        ({"features": "nonsense"}, "features 'nonsense': expected one of hls4ml-3"),
        ({"classes": ["QCD", "Hzz"]}, "class 'Hzz': not among the classes"),
        ({"max_constituents": 0}, "max_constituents: expected at least 1, got 0"),
        ({"min_pt": -1.0}, "min_pt: expected 0 GeV or more, got -1.0"),
        ({"min_pt": float("nan")}, "min_pt: expected 0 GeV or more"),
        ({"sources": "absent.root"}, "absent.root: there is no such file"),
    ),
)
def test_nonsense_is_refused_before_the_work(
    tmp_path: Path, folder: Path, change: dict, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        convert(**{"sources": folder, "out": tmp_path / "jets.h5", "features": "hls4ml-3", **change})
    assert list(tmp_path.iterdir()) == []


def test_sources_of_different_classes_are_refused(tmp_path: Path, folder: Path) -> None:
    from jetformer_data.testing import example_jets

    schema.write(tmp_path / "other.h5", example_jets(20))
    with pytest.raises(
        DataError, match=r"other.h5: its classes are g, q, W, Z, t; those of .*a.root are QCD"
    ):
        convert([folder / "a.root", tmp_path / "other.h5"], tmp_path / "jets.h5", "hls4ml-3")


def test_what_cannot_be_computed_is_told_before_the_work(tmp_path: Path) -> None:
    from jetformer_data.testing import example_jets

    schema.write(tmp_path / "jets.h5", example_jets(20))
    with pytest.raises(DataError, match=r"jets.h5.*holds no 'charge', and nothing to derive it from"):
        convert(tmp_path / "jets.h5", tmp_path / "out.h5", "jetclass-17")
    assert [path.name for path in tmp_path.iterdir()] == ["jets.h5"]


def test_damage_ends_the_work_and_keeps_what_is_finished(tmp_path: Path) -> None:
    broken = some_jets(40, seed=3)
    damaged = broken.constituents["energy"].copy()
    damaged[broken.offsets[33]] = -4.0
    good = write_layout([broken], tmp_path / "set.root", "jetclass").paths[0]
    content = good.read_bytes()
    write_layout(
        [RawJets({**broken.constituents, "energy": damaged}, broken.offsets, broken.labels, CLASSES)],
        good, "jetclass", overwrite=True,
    )  # fmt: skip
    out = tmp_path / "jets.h5"
    with pytest.raises(DataError, match=r"set.root: jet 33, column 'part_energy'.*finished shards are kept"):
        convert(good, out, "hls4ml-3", shard_jets=10)
    assert not out.exists()
    assert len(list(folder_of(out).glob("shard-*.h5"))) == 3
    good.write_bytes(content)
    with pytest.raises(DataError, match="another 'sources'"):  # it is another file now
        convert(good, out, "hls4ml-3", shard_jets=10)


def test_killed_at_any_moment_it_goes_on(tmp_path: Path, folder: Path) -> None:
    arguments = [str(folder), str(tmp_path / "jets.h5"), "--features", "jetclass-17", "--workers", "2"]
    code = (  # shards so small that a kill finds some of them finished
        "from jetformer_data import conversion\n"
        "from jetformer_data.cli import app\n"
        "conversion.convert.__defaults__ = (*conversion.convert.__defaults__[:-1], 3)\n"
        "app()"
    )
    command = [sys.executable, "-c", code, "convert", *arguments]
    rng = random.Random(5)
    out = tmp_path / "jets.h5"
    for attempt in range(4):
        process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.3, 2.5))
        if attempt % 2:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        assert not out.exists() or len(schema.read(out)) == 98
    subprocess.run(command, check=True, capture_output=True)
    assert_same(schema.read(out), expected(folder, "jetclass-17"))
    assert [path.name for path in tmp_path.iterdir()] == ["jets.h5"]


def test_a_dask_cluster_that_loses_a_worker_makes_the_same_file(tmp_path: Path, folder: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="needs the extra 'dask'")
    from jetformer_data.cluster import Dask

    convert(folder, tmp_path / "local.h5", "jetclass-17", shard_jets=2)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=60
    ) as cluster:
        killer = threading.Thread(target=_kill_a_worker, args=(cluster, tmp_path / "jets.h5.parts"))
        killer.start()
        done: list[int] = []
        convert(
            *(folder, tmp_path / "jets.h5", "jetclass-17"),
            backend=Dask(cluster.scheduler_address),
            shard_jets=2,
            progress=done.append,
        )
        killer.join()
    assert done[-1] == 98
    assert (tmp_path / "jets.h5").read_bytes() == (tmp_path / "local.h5").read_bytes()


def _kill_a_worker(cluster: object, parts: Path) -> None:
    while not list(parts.glob("shard-*.h5")):
        time.sleep(0.005)
    worker = next(iter(cluster.workers.values()))  # type: ignore[attr-defined]
    os.kill(worker.pid, signal.SIGKILL)


def test_an_absent_scheduler_is_one_sentence(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed", reason="needs the extra 'dask'")
    from jetformer_data.cluster import Dask

    monkeypatch.setattr("jetformer_data.cluster._PATIENCE", "0.3s")
    with pytest.raises(DataError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9"):
        convert(folder, tmp_path / "jets.h5", "hls4ml-3", backend=Dask("tcp://127.0.0.1:9"))


def test_dask_is_needed_only_where_it_is_asked_for(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jetformer_data.cluster import Dask

    monkeypatch.setitem(sys.modules, "distributed", None)
    convert(folder, tmp_path / "jets.h5", "hls4ml-3")
    with pytest.raises(MissingExtraError, match=r"pip install 'jetformer-data\[dask\]'"):
        convert(folder, tmp_path / "other.h5", "hls4ml-3", backend=Dask("tcp://127.0.0.1:9"))
