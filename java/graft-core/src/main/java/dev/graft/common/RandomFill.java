package dev.graft.common;

/** Random initial values and permutations as pure functions of (seed, purpose, stream, position). */
public final class RandomFill {
    private RandomFill() {}

    /** {@code count} values of N(0, std²) by Box–Muller; value i depends only on (seed, purpose, stream, i). */
    public static float[] normal(long seed, RandomPurpose purpose, int stream, int count, float std) {
        Philox philox = new Philox(seed);
        float[] values = new float[count];
        int[] words = new int[4];
        for (int i = 0; i < count; i += 4) {
            philox.words(i >>> 2, 0, stream, purpose.word(), words);
            for (int pair = 0; pair < 4 && i + pair < count; pair += 2) {
                // 1 - u lies in (0, 1], so that the logarithm is finite
                double radius = Math.sqrt(-2 * StrictMath.log(1.0 - Philox.toUniform(words[pair])));
                double angle = 2 * Math.PI * Philox.toUniform(words[pair + 1]);
                values[i + pair] = (float) (std * radius * StrictMath.cos(angle));
                if (i + pair + 1 < count) {
                    values[i + pair + 1] = (float) (std * radius * StrictMath.sin(angle));
                }
            }
        }
        return values;
    }

    /** {@code count} values of U(-bound, bound); value i depends only on (seed, purpose, stream, i). */
    public static float[] uniform(long seed, RandomPurpose purpose, int stream, int count, float bound) {
        Philox philox = new Philox(seed);
        float[] values = new float[count];
        int[] words = new int[4];
        for (int i = 0; i < count; i++) {
            if ((i & 3) == 0) {
                philox.words(i >>> 2, 0, stream, purpose.word(), words);
            }
            values[i] = (2 * Philox.toUniform(words[i & 3]) - 1) * bound;
        }
        return values;
    }

    /** A permutation of 0..count-1 for one epoch, by Fisher–Yates. */
    public static int[] permutation(long seed, int epoch, int count) {
        Philox philox = new Philox(seed);
        int[] order = new int[count];
        int[] words = new int[4];
        for (int i = 0; i < count; i++) {
            order[i] = i;
        }
        for (int i = count - 1; i > 0; i--) {
            philox.words(i, 0, epoch, RandomPurpose.SHUFFLE.word(), words);
            long wide = (words[0] & 0xffffffffL) << 32 | (words[1] & 0xffffffffL);
            int j = (int) Long.remainderUnsigned(wide, i + 1L);
            int swap = order[i];
            order[i] = order[j];
            order[j] = swap;
        }
        return order;
    }
}
