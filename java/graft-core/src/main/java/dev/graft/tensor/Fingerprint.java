package dev.graft.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * A 64-bit fingerprint of bytes: {@code Σ mix(wᵢ + (i + 1) · 0x9E3779B97F4A7C15) mod 2⁶⁴} over the 8-byte little-endian words wᵢ,
 * the last padded with zeros; mix is SplitMix64's finaliser (Steele et al., 2014). A sum, so that any number of threads or GPU
 * blocks gives the same value; the position goes into each word, so that moved bytes show.
 *
 * <p>It tells whether weights changed or belong together. It is no defence against somebody who forges them.
 */
public final class Fingerprint {
    private static final long GOLDEN = 0x9E3779B97F4A7C15L;
    private static final ValueLayout.OfLong WORD = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private Fingerprint() {}

    /** The fingerprint of all of {@code bytes}. */
    public static long of(MemorySegment bytes) {
        return ofWords(bytes, 0, words(bytes));
    }

    /** How many words {@code bytes} make, a last one that is not whole included. */
    public static long words(MemorySegment bytes) {
        return Math.ceilDiv(bytes.byteSize(), 8L);
    }

    /** The part of the sum that words {@code from} (inclusive) to {@code to} (exclusive) contribute. */
    public static long ofWords(MemorySegment bytes, long from, long to) {
        long whole = Math.min(to, bytes.byteSize() / 8);
        long sum = 0;
        for (long i = from; i < whole; i++) {
            sum += mix(bytes.get(WORD, i * 8) + (i + 1) * GOLDEN);
        }
        return whole < to ? sum + mix(lastWord(bytes, whole) + to * GOLDEN) : sum;
    }

    private static long lastWord(MemorySegment bytes, long index) {
        long word = 0;
        for (long i = bytes.byteSize() - 1; i >= index * 8; i--) {
            word = word << 8 | (bytes.get(ValueLayout.JAVA_BYTE, i) & 0xffL);
        }
        return word;
    }

    /** Adds a named tensor's fingerprint to that of a collection, whatever the order. */
    public static long named(String name, long fingerprint) {
        long hash = 0;
        for (int i = 0; i < name.length(); i++) {
            hash = mix(hash * 31 + name.charAt(i) + GOLDEN);
        }
        return mix(hash ^ fingerprint);
    }

    private static long mix(long z) {
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }
}
