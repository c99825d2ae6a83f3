"""What the array schema demands of the arrays themselves, wherever they come from.

Every function takes `where`, the file or program that the arrays come from, and raises `SchemaError` with one
sentence that names it and the place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import SchemaError
from jetformer_data.jets import Jets, feature_columns


def validate(jets: Jets, where: str = "jets in memory", first_jet: int = 0) -> None:
    """Check dtypes, shapes, names and values of `jets`; `first_jet` is added to the jet numbers in messages."""
    validate_structure(jets, where, first_jet)
    require_labels(jets.labels, len(jets.class_names), where, first_jet)
    _finite(jets, where, first_jet)
    _sorted(jets, where, first_jet)


def validate_structure(jets: Jets, where: str = "jets in memory", first_jet: int = 0) -> None:
    """Check all but the values of labels and features."""
    _arrays(jets, where)
    _names(jets, where)
    _offsets(jets.offsets, len(jets.constituents), where, first_jet)


def require_array(array: Any, name: str, dtype: type, shape: tuple[int | None, ...], where: str) -> None:
    """Check dtype and shape of an array or dataset; None in `shape` allows any length."""
    wanted = np.dtype(dtype)
    if array.dtype != wanted:
        raise SchemaError(f"{where}: '{name}' has dtype {array.dtype}, expected {wanted}")
    fits = len(array.shape) == len(shape) and all(
        want is None or want == got for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits:
        expected = "[" + ", ".join("any" if want is None else str(want) for want in shape) + "]"
        raise SchemaError(f"{where}: '{name}' has shape {list(array.shape)}, expected {expected}")


def require_labels(labels: NDArray[np.int64], classes: int, where: str, first_jet: int = 0) -> None:
    """Check that labels lie within the classes."""
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(outside):
        j = int(outside[0])
        raise SchemaError(
            f"{where}: label {labels[j]} of jet {first_jet + j} is outside the {classes} classes"
        )


def _arrays(jets: Jets, where: str) -> None:
    require_array(jets.labels, "labels", np.int64, (None,), where)
    require_array(jets.offsets, "offsets", np.int64, (len(jets.labels) + 1,), where)
    require_array(jets.constituents, "constituents", np.float32, (None, len(jets.feature_names)), where)
    if jets.jet_features is not None:
        shape = (len(jets.labels), len(jets.jet_feature_names))
        require_array(jets.jet_features, "jet_features", np.float32, shape, where)
    if jets.groups is not None:
        require_array(jets.groups, "groups", np.int64, (len(jets.labels),), where)


def _names(jets: Jets, where: str) -> None:
    for kind in ("feature_names", "jet_feature_names", "class_names"):
        names = getattr(jets, kind)
        if len(set(names)) != len(names):
            raise SchemaError(f"{where}: '{kind}' holds a name twice: {', '.join(names)}")
    for kind in ("feature", "jet_feature"):
        names, units = getattr(jets, f"{kind}_names"), getattr(jets, f"{kind}_units")
        if len(names) != len(units):
            raise SchemaError(f"{where}: '{kind}_units' has {len(units)} entries for {len(names)} {kind}s")
    if (jets.jet_features is None) != (not jets.jet_feature_names):
        raise SchemaError(f"{where}: 'jet_features' and 'jet_feature_names' must be present together")
    if jets.normalisation is not None:
        _normalisation(jets, where)


def _normalisation(jets: Jets, where: str) -> None:
    assert jets.normalisation is not None
    for name in ("mean", "std"):
        values = getattr(jets.normalisation, name)
        require_array(values, f"normalisation_{name}", np.float64, (len(jets.feature_names),), where)
        if not np.isfinite(values).all():
            raise SchemaError(f"{where}: 'normalisation_{name}' holds a value that is not finite")
    if not (jets.normalisation.std > 0).all():
        raise SchemaError(f"{where}: 'normalisation_std' holds a value that is not positive")


def _offsets(offsets: NDArray[np.int64], rows: int, where: str, first_jet: int) -> None:
    if offsets[0] != 0:
        raise SchemaError(f"{where}: 'offsets' starts at {offsets[0]}, expected 0")
    falls = np.flatnonzero(np.diff(offsets) < 0)
    if len(falls):
        j = int(falls[0])
        raise SchemaError(
            f"{where}: 'offsets' falls from {offsets[j]} to {offsets[j + 1]} at jet {first_jet + j}"
        )
    if offsets[-1] != rows:
        raise SchemaError(f"{where}: 'offsets' ends at {offsets[-1]}, but 'constituents' has {rows} rows")


def _finite(jets: Jets, where: str, first_jet: int) -> None:
    for name, array in (("constituents", jets.constituents), ("jet_features", jets.jet_features)):
        if array is None or np.isfinite(array).all():
            continue
        row, column = (int(i[0]) for i in np.nonzero(~np.isfinite(array)))
        is_constituent = name == "constituents"
        jet = np.searchsorted(jets.offsets, row, side="right") - 1 if is_constituent else row
        feature = (jets.feature_names if is_constituent else jets.jet_feature_names)[column]
        raise SchemaError(
            f"{where}: '{name}' holds {array[row, column]} in feature '{feature}' of jet {first_jet + jet}"
        )


def _sorted(jets: Jets, where: str, first_jet: int) -> None:
    if "pt" not in jets.feature_names or len(jets.constituents) < 2:
        return
    pt = jets.constituents[:, feature_columns(["pt"], jets.feature_names)[0]]
    rises = pt[1:] > pt[:-1]
    starts = jets.offsets[(jets.offsets > 0) & (jets.offsets < len(pt))]
    rises[starts - 1] = False
    if rises.any():
        row = int(np.flatnonzero(rises)[0]) + 1
        jet = np.searchsorted(jets.offsets, row, side="right") - 1
        raise SchemaError(f"{where}: constituents of jet {first_jet + jet} are not sorted by falling pt")
