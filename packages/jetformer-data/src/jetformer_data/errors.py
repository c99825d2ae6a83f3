"""The errors that this package raises on purpose: each message is one sentence a user can act on."""


class DataError(Exception):
    """Base class of every error of jetformer-data."""


class SchemaError(DataError):
    """A file or a set of arrays does not follow the array schema."""


class SourceError(DataError):
    """A file of jets in a published layout is damaged, lacks a column or holds what cannot be."""


class MissingExtraError(DataError):
    """An optional dependency is absent; the message names the extra that brings it."""
