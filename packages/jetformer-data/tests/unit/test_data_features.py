"""Feature sets: order and constants as published, values as `vector` computes them, cuts and what they drop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from jetformer_data.errors import DataError
from jetformer_data.features import FEATURE_SETS, Feature, FeatureSet, find_feature_set, to_jets
from jetformer_data.jets import offsets_of
from jetformer_data.raw import RawJets
from jetformer_data.validation import validate

HLS4ML = (
    *("j1_px", "j1_py", "j1_pz", "j1_e", "j1_erel", "j1_pt", "j1_ptrel", "j1_eta", "j1_etarel", "j1_etarot"),
    *("j1_phi", "j1_phirel", "j1_phirot", "j1_deltaR", "j1_costheta", "j1_costhetarel"),
)
KINDS = ("is_charged_hadron", "is_neutral_hadron", "is_photon", "is_electron", "is_muon")
# name, subtract, multiply: as in the published configuration
JETCLASS = (
    ("part_pt_log", 1.7, 0.7),
    ("part_e_log", 2.0, 0.7),
    ("part_logptrel", -4.7, 0.7),
    ("part_logerel", -4.7, 0.7),
    ("part_deltaR", 0.2, 4.0),
    ("part_charge", 0, 1),
    ("part_isChargedHadron", 0, 1),
    ("part_isNeutralHadron", 0, 1),
    ("part_isPhoton", 0, 1),
    ("part_isElectron", 0, 1),
    ("part_isMuon", 0, 1),
    ("part_d0", 0, 1),
    ("part_d0err", 0, 1),
    ("part_dz", 0, 1),
    ("part_dzerr", 0, 1),
    ("part_deta", 0, 1),
    ("part_dphi", 0, 1),
)


def massive_jets(jets: int = 23, seed: int = 1, is_sorted: bool = True) -> RawJets:
    """Four-vectors with masses and tracks, jets of 0 to 30 constituents on both sides of the detector."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 31, jets)
    counts[:2] = (0, 1)
    offsets, jet = offsets_of(counts), np.repeat(np.arange(jets), counts)
    pt = rng.exponential(20, len(jet)) + 0.1
    if is_sorted:
        pt = pt[np.lexsort((-pt, jet))]
    eta = rng.uniform(-2, 2, jets)[jet] + rng.normal(0, 0.2, len(jet))
    phi = rng.uniform(-np.pi, np.pi, jets)[jet] + rng.normal(0, 0.2, len(jet))
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    energy = np.sqrt(px**2 + py**2 + pz**2 + rng.choice([0, 0.14, 0.94], len(jet)) ** 2)
    kind = rng.integers(0, 5, len(jet))
    columns = {"px": px, "py": py, "pz": pz, "energy": energy, "charge": rng.integers(-1, 2, len(jet))}
    columns |= {name: kind == k for k, name in enumerate(KINDS)}
    columns |= {"d0": rng.normal(0, 1, len(jet)), "d0_error": rng.exponential(0.7, len(jet))}
    columns |= {"dz": rng.normal(0, 3, len(jet)), "dz_error": rng.exponential(0.7, len(jet))}
    return RawJets(columns, offsets, rng.integers(0, 3, jets), ("a", "b", "c"), where="made.npz, jets 0:23")


def test_the_published_order_and_constants() -> None:
    full, kinematic = FEATURE_SETS["jetclass-17"], FEATURE_SETS["jetclass-kin"]
    assert tuple((f.name, f.subtract, f.multiply) for f in full.features) == JETCLASS
    assert tuple((f.name, f.subtract, f.multiply) for f in kinematic.features) == (
        *JETCLASS[:5],
        *JETCLASS[-2:],
    )
    assert full.normalisation is not None
    np.testing.assert_allclose(full.normalisation.mean[:5], [1.7, 2.0, -4.7, -4.7, 0.2])
    np.testing.assert_allclose(full.normalisation.std[:5], [1 / 0.7] * 4 + [0.25])
    assert FEATURE_SETS["hls4ml-3"].names == ("pt", "etarel", "phirel")
    assert FEATURE_SETS["hls4ml-16"].names == tuple(f.removeprefix("j1_") for f in HLS4ML)
    assert FEATURE_SETS["p4-7"].names == (
        *("etarel", "phirel", "pt_log", "e_log"),
        *("logptrel", "logerel", "deltaR"),
    )


@pytest.mark.parametrize("name", FEATURE_SETS)
def test_every_set_follows_the_schema(name: str) -> None:
    jets, dropped = to_jets(massive_jets(), FEATURE_SETS[name])
    validate(jets)
    assert jets.feature_names == FEATURE_SETS[name].names
    assert jets.jet_feature_names == ("jet_pt", "jet_eta", "jet_phi", "jet_mass")
    assert not any(dropped.values())


def test_values_are_those_of_vector() -> None:
    vector = pytest.importorskip("vector", reason="needs 'vector' as the independent calculation")
    raw = massive_jets(jets=307)
    # with the vectors' own names for components
    p = vector.array(
        {"px": raw.column("px"), "py": raw.column("py"), "pz": raw.column("pz"), "E": raw.column("energy")}
    )
    index = raw.jet_of
    sums = {k: np.bincount(index, p[k], minlength=len(raw)) for k in ("px", "py", "pz", "E")}
    jet = vector.array(sums)
    axis = jet[index]
    sign = np.where(axis.eta < 0, -1, 1)
    expected = {
        "part_pt_log": np.log(p.pt),
        "part_e_log": np.log(p.E),
        "part_logptrel": np.log(p.pt / axis.pt),
        "part_logerel": np.log(p.E / axis.E),
        "part_deltaR": p.deltaR(axis),
        "part_deta": p.deltaeta(axis) * sign,
        "part_dphi": p.deltaphi(axis),
        "px": p.px,
        "e": p.E,
        "erel": p.E / axis.E,
        "pt": p.pt,
        "ptrel": p.pt / axis.pt,
        "eta": p.eta,
        "etarel": p.deltaeta(axis),
        "phi": p.phi,
        "phirel": p.deltaphi(axis),
        "deltaR": p.deltaR(axis),
        "costheta": p.costheta,
        "costhetarel": np.cos(p.to_Vector3D().deltaangle(axis.to_Vector3D())),
        "logerel": np.log(p.E / axis.E),
    }
    seen = set()
    for feature_set in FEATURE_SETS.values():
        jets, _ = to_jets(raw, feature_set)
        for feature in feature_set.features:
            if feature.name in expected:
                limited = np.clip(expected[feature.name], feature.low, feature.high)
                np.testing.assert_allclose(jets.column(feature.name), limited, rtol=1e-5, atol=1e-5)
                seen.add(feature.name)
        np.testing.assert_allclose(jets.jet_column("jet_pt"), jet.pt, rtol=1e-5)
        np.testing.assert_allclose(
            jets.jet_column("jet_mass")[2:], np.maximum(jet.mass[2:], 0), rtol=1e-4, atol=1e-3
        )
    assert seen == set(expected)


def test_tracks_are_squeezed_as_published() -> None:
    raw = massive_jets()
    jets, _ = to_jets(raw, FEATURE_SETS["jetclass-17"])
    np.testing.assert_allclose(jets.column("part_d0"), np.tanh(raw.column("d0")), rtol=1e-6)
    np.testing.assert_allclose(jets.column("part_dzerr"), np.minimum(raw.column("dz_error"), 1), rtol=1e-6)
    assert raw.column("d0_error").max() > 1
    np.testing.assert_array_equal(jets.column("part_isMuon"), raw.column("is_muon"))


def test_standardised_values_are_limited_to_five() -> None:
    raw = massive_jets()
    tiny = {**raw.constituents, "px": raw.constituents["px"] * 1e-5, "py": raw.constituents["py"] * 1e-5}
    jets, _ = to_jets(replace(raw, constituents=tiny), FEATURE_SETS["jetclass-17"])
    assert jets.normalisation is not None
    standard = (jets.constituents - jets.normalisation.mean) / jets.normalisation.std
    assert standard.min() == pytest.approx(-5, abs=1e-5)
    assert standard.max() == pytest.approx(5, abs=1e-5)


def test_a_column_of_the_source_is_taken_and_not_computed() -> None:
    raw = massive_jets()
    own = np.linspace(-1, 1, raw.offsets[-1])
    jets, _ = to_jets(
        replace(raw, constituents={**raw.constituents, "etarot": own}), FEATURE_SETS["hls4ml-16"]
    )
    np.testing.assert_array_equal(jets.column("etarot"), own.astype(np.float32))


def test_rotation_keeps_distances_and_turns_the_jet_upright() -> None:
    jets, _ = to_jets(massive_jets(jets=41), FEATURE_SETS["hls4ml-16"])
    eta, phi, pt = (jets.column(name).astype(float) for name in ("etarot", "phirot", "pt"))
    np.testing.assert_allclose(np.hypot(eta, phi), jets.column("deltaR"), atol=1e-6)
    index = np.repeat(np.arange(41), jets.multiplicity)
    wide, high, mixed = (np.bincount(index, pt * w) for w in (eta**2, phi**2, eta * phi))
    assert (high >= wide - 1e-6).all()
    np.testing.assert_allclose(mixed, 0, atol=1e-3)
    assert (np.bincount(index, pt * np.sign(phi)) >= 0).all()


def test_unsorted_constituents_are_sorted_and_equal_ones_keep_their_order() -> None:
    raw = massive_jets(is_sorted=False)
    jets, _ = to_jets(raw, FEATURE_SETS["hls4ml-3"])
    validate(jets)
    pt = raw.column("pt").astype(np.float32)
    for j, (first, last) in enumerate(zip(raw.offsets[:-1], raw.offsets[1:], strict=True)):
        inside = jets.column("pt")[jets.offsets[j] : jets.offsets[j + 1]]
        np.testing.assert_array_equal(inside, np.sort(pt[first:last])[::-1])
    same = RawJets(
        {"pt": np.array([1.0, 2, 2, 3]), "etarel": np.arange(4.0), "phirel": np.zeros(4)},
        np.array([0, 4]),
        np.zeros(1, np.int64),
        ("a",),
        {name: np.ones(1) for name in ("jet_pt", "jet_eta", "jet_phi", "jet_mass")},
    )
    assert to_jets(same, FEATURE_SETS["hls4ml-3"])[0].column("etarel").tolist() == [3, 1, 2, 0]


@pytest.mark.parametrize("is_sorted", (True, False))
def test_cuts_drop_the_softest_and_count_them(is_sorted: bool) -> None:
    raw = massive_jets(is_sorted=is_sorted)
    whole, _ = to_jets(raw, FEATURE_SETS["jetclass-kin"])
    jets, dropped = to_jets(raw, FEATURE_SETS["jetclass-kin"], max_constituents=5, min_pt=15.0)
    is_hard = raw.column("pt").astype(np.float32) >= 15
    hard = np.bincount(raw.jet_of[is_hard], minlength=len(raw))
    np.testing.assert_array_equal(jets.multiplicity, np.minimum(hard, 5))
    assert dropped == {
        "constituents below min_pt": int((~is_hard).sum()),
        "constituents beyond max_constituents": int(np.maximum(hard - 5, 0).sum()),
    }
    np.testing.assert_array_equal(jets.jet_features, whole.jet_features)
    for j in range(len(jets)):
        kept = jets.constituents[jets.offsets[j] : jets.offsets[j + 1]]
        np.testing.assert_array_equal(kept, whole.constituents[whole.offsets[j] :][: len(kept)])


def test_blocks_don_t_show(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = massive_jets(jets=67)
    whole, _ = to_jets(raw, FEATURE_SETS["hls4ml-16"])
    monkeypatch.setattr("jetformer_data.features._BLOCK_JETS", 7)
    np.testing.assert_array_equal(to_jets(raw, FEATURE_SETS["hls4ml-16"])[0].constituents, whole.constituents)


def test_optional_jet_features_and_events_are_kept() -> None:
    raw = massive_jets()
    more = replace(raw, jets={"jet_sdmass": np.arange(23.0), "event": np.arange(23) // 2})
    jets, _ = to_jets(more, FEATURE_SETS["p4-7"])
    assert jets.jet_feature_names[4:] == ("jet_sdmass",)
    assert jets.groups is not None
    assert jets.groups.tolist() == (np.arange(23) // 2).tolist()
    assert to_jets(more, FEATURE_SETS["p4-7"], jet_features=("jet_phi",))[0].jet_feature_names == ("jet_phi",)


def test_what_is_lacking_or_not_finite_is_refused() -> None:
    raw = massive_jets()
    without = {name: values for name, values in raw.constituents.items() if name != "dz"}
    with pytest.raises(DataError, match=r"made\.npz, jets 0:23: holds no 'dz'"):
        to_jets(replace(raw, constituents=without), FEATURE_SETS["jetclass-17"])
    broken = {**raw.constituents, "energy": raw.constituents["energy"].copy()}
    broken["energy"][raw.offsets[7]] = np.nan
    with pytest.raises(
        DataError, match=r"made\.npz, jets 0:23: 'part_e_log' comes to nan in the jet at place 7"
    ):
        to_jets(replace(raw, constituents=broken), FEATURE_SETS["jetclass-17"], jet_features=("jet_pt",))
    broken = {**raw.constituents, "px": np.full(len(raw.jet_of), np.nan)}
    with pytest.raises(DataError, match="'pt' comes to nan in the jet at place 1"):
        to_jets(replace(raw, constituents=broken), FEATURE_SETS["hls4ml-3"], min_pt=2.0, jet_features=())
    with pytest.raises(DataError, match="features 'all': expected one of hls4ml-3, hls4ml-16, jetclass-17"):
        find_feature_set("all")


def test_a_set_of_one_s_own_is_a_few_rows() -> None:
    mine = FeatureSet(
        "mine", (Feature("pt", "GeV"), Feature("twice", "GeV", lambda raw: 2 * raw.column("pt"))), "me"
    )
    jets, _ = to_jets(massive_jets(), mine)
    np.testing.assert_allclose(jets.column("twice"), 2 * jets.column("pt"))
    assert jets.normalisation is None
    assert mine.table()[0] == ["pt", "GeV", 0.0, 1.0, None, None]
