"""As in a newer MLIR: no `isinstance` of its own."""


class Type:
    pass


class Attribute:
    pass


class Value:
    pass


class IntegerType(Type):
    pass
