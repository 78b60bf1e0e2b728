package dev.graft.tensor;

/** Element types, named as safetensors names them. */
public enum DType {
    F32(4),
    BF16(2),
    F16(2),
    F64(8),
    I64(8),
    I32(4),
    I16(2),
    I8(1),
    U8(1),
    BOOL(1);

    private final int byteSize;

    DType(int byteSize) {
        this.byteSize = byteSize;
    }

    /** Bytes of one element. */
    public int byteSize() {
        return byteSize;
    }

    /** True for the types that weights may have: F32, BF16, F16. */
    public boolean isFloat() {
        return this == F32 || this == BF16 || this == F16;
    }
}
