package dev.graft.cpu.kernels;

import dev.graft.common.RandomPurpose;
import dev.graft.engine.Dropout;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * The words of {@link dev.graft.common.Philox} for many consecutive positions at once. A lane is a long that holds one 32-bit
 * word, because the function needs both halves of 32-bit products.
 */
final class PhiloxLanes {
    private static final VectorSpecies<Long> L = LongVector.SPECIES_PREFERRED;
    private static final VectorShuffle<Long> ZIP_LOW = VectorShuffle.makeZip(L, 0);
    private static final VectorShuffle<Long> ZIP_HIGH = VectorShuffle.makeZip(L, 1);
    private static final LongVector IOTA = LongVector.zero(L).addIndex(1);

    private static final long MASK = 0xffffffffL;
    private static final long M0 = 0xD2511F53L;
    private static final long M1 = 0xCD9E8D57L;
    private static final long W0 = 0x9E3779B9L;
    private static final long W1 = 0xBB67AE85L;
    private static final int ROUNDS = 10;

    private PhiloxLanes() {}

    /** Length of an array that holds the words of {@code counters} positions. */
    static int words(int counters) {
        return (counters + L.length() - 1) / L.length() * L.length() * 4;
    }

    /**
     * Four words for each of the positions {@code first}, {@code first + 1} ... of a dropout mask.
     *
     * @param words as long as {@link #words}; written
     */
    static void fill(Dropout dropout, long first, int counters, int[] words) {
        long key0 = dropout.seed() & MASK;
        long key1 = dropout.seed() >>> 32;
        long step = dropout.step() & MASK;
        long stream = dropout.stream() & MASK;
        for (int i = 0; i < counters; i += L.length()) {
            LongVector c0 = IOTA.add(first + i).and(MASK);
            LongVector c1 = LongVector.broadcast(L, step);
            LongVector c2 = LongVector.broadcast(L, stream);
            LongVector c3 = LongVector.broadcast(L, RandomPurpose.DROPOUT.word());
            long k0 = key0;
            long k1 = key1;
            for (int round = 0; round < ROUNDS; round++) {
                LongVector p0 = c0.mul(M0);
                LongVector p1 = c2.mul(M1);
                c0 = p1.lanewise(VectorOperators.LSHR, 32)
                        .lanewise(VectorOperators.XOR, c1)
                        .lanewise(VectorOperators.XOR, k0);
                c2 = p0.lanewise(VectorOperators.LSHR, 32)
                        .lanewise(VectorOperators.XOR, c3)
                        .lanewise(VectorOperators.XOR, k1);
                c1 = p1.and(MASK);
                c3 = p0.and(MASK);
                k0 = (k0 + W0) & MASK;
                k1 = (k1 + W1) & MASK;
            }
            LongVector words01 = c0.or(c1.lanewise(VectorOperators.LSHL, 32));
            LongVector words23 = c2.or(c3.lanewise(VectorOperators.LSHL, 32));
            IntVector low = words01.rearrange(ZIP_LOW, words23).reinterpretAsInts();
            IntVector high = words01.rearrange(ZIP_HIGH, words23).reinterpretAsInts();
            low.intoArray(words, 4 * i);
            high.intoArray(words, 4 * i + 2 * L.length());
        }
    }
}
