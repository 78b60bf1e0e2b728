package dev.graft.cuda.natives;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** An array of {@code graft_lora_term}, filled term by term. The library reads it before a call returns. */
public final class LoraTermArray {
    /** GRAFT_MAX_TERMS. */
    public static final int CAPACITY = 32;

    private static final long TERM_BYTES = 160;

    private final MemorySegment terms;
    private int count;

    public LoraTermArray(Arena arena) {
        terms = arena.allocate(CAPACITY * TERM_BYTES, 8);
    }

    /** A matrix in device memory; address 0 for none. */
    public record Matrix(long address, long pitch) {
        public static final Matrix NONE = new Matrix(0, 0);
    }

    /** Dropout as the kernels take it: a word of 24 bits is kept from {@code threshold} on. */
    public record Mask(long seed, int step, int stream, int threshold, float scale) {
        public static final Mask NONE = new Mask(0, 0, 0, 0, 1);
    }

    public void clear() {
        count = 0;
    }

    public boolean isEmpty() {
        return count == 0;
    }

    public boolean isFull() {
        return count == CAPACITY;
    }

    public int count() {
        return count;
    }

    public MemorySegment segment() {
        return terms;
    }

    /** Adds a term; the order of the fields is that of the struct. */
    public void add(
            Matrix a,
            Matrix b,
            Matrix hidden,
            Matrix hiddenGradient,
            Matrix border,
            Matrix aGradient,
            Matrix bGradient,
            int fromRow,
            int toRow,
            Mask mask,
            float scale,
            int rank) {
        Matrix[] matrices = {a, b, hidden, hiddenGradient, border, aGradient, bGradient};
        MemorySegment term = terms.asSlice(count * TERM_BYTES, TERM_BYTES);
        long pitches = 8L * matrices.length;
        for (int i = 0; i < matrices.length; i++) {
            term.set(JAVA_LONG, 8L * i, matrices[i].address());
            term.set(JAVA_LONG, pitches + 8L * i, matrices[i].pitch());
        }
        term.set(JAVA_LONG, 112, fromRow);
        term.set(JAVA_LONG, 120, toRow);
        term.set(JAVA_LONG, 128, mask.seed());
        term.set(JAVA_INT, 136, mask.step());
        term.set(JAVA_INT, 140, mask.stream());
        term.set(JAVA_INT, 144, mask.threshold());
        term.set(JAVA_FLOAT, 148, mask.scale());
        term.set(JAVA_FLOAT, 152, scale);
        term.set(JAVA_INT, 156, rank);
        count++;
    }
}
