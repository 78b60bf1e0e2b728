package dev.graft.common;

/**
 * Philox-4x32-10, a counter-based random function: the same (key, counter) gives the same four 32-bit words wherever and in
 * whatever order it is asked. Everything random in Graft is drawn from it, so that no result depends on threads or order.
 *
 * <p>Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
 */
public final class Philox {
    private static final int M0 = 0xD2511F53;
    private static final int M1 = 0xCD9E8D57;
    private static final int W0 = 0x9E3779B9;
    private static final int W1 = 0xBB67AE85;
    private static final int ROUNDS = 10;

    private final int key0;
    private final int key1;

    /** A function of its own for each seed. */
    public Philox(long seed) {
        this.key0 = (int) seed;
        this.key1 = (int) (seed >>> 32);
    }

    /**
     * The four words at counter (c0, c1, c2, c3), written to {@code out[0..3]}. By convention c0 is the position, c1 its high
     * half or the step, c2 the stream (a tensor, a module) and c3 the purpose.
     */
    public void words(int c0, int c1, int c2, int c3, int[] out) {
        int k0 = key0;
        int k1 = key1;
        for (int round = 0; round < ROUNDS; round++) {
            long p0 = (M0 & 0xffffffffL) * (c0 & 0xffffffffL);
            long p1 = (M1 & 0xffffffffL) * (c2 & 0xffffffffL);
            int n0 = (int) (p1 >>> 32) ^ c1 ^ k0;
            int n2 = (int) (p0 >>> 32) ^ c3 ^ k1;
            c1 = (int) p1;
            c3 = (int) p0;
            c0 = n0;
            c2 = n2;
            k0 += W0;
            k1 += W1;
        }
        out[0] = c0;
        out[1] = c1;
        out[2] = c2;
        out[3] = c3;
    }

    /** A word as a float in [0, 1), a multiple of 2⁻²⁴. */
    public static float toUniform(int word) {
        return (word >>> 8) * 0x1.0p-24f;
    }
}
