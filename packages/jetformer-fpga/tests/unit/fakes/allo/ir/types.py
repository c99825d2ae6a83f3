from jetformer_fpga.allo.interpreter import Type

int8, int16, int32, int64 = (Type(bits) for bits in (8, 16, 32, 64))
