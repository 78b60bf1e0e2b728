package dev.graft.lora;

/**
 * A [r, k] and B [d, r] on the host, float32, row by row.
 *
 * @param rank r
 */
public record LowRankFactors(int rank, float[] a, float[] b) {
    /** The factors of {@code B A - B₀ A₀}, of rank r + r₀: {@code [A; A₀]} and {@code [B, -B₀]}. */
    LowRankFactors minus(LowRankFactors start) {
        int both = rank + start.rank;
        float[] stacked = new float[a.length + start.a.length];
        System.arraycopy(a, 0, stacked, 0, a.length);
        System.arraycopy(start.a, 0, stacked, a.length, start.a.length);
        int rows = b.length / rank;
        float[] beside = new float[rows * both];
        for (int row = 0; row < rows; row++) {
            System.arraycopy(b, row * rank, beside, row * both, rank);
            for (int i = 0; i < start.rank; i++) {
                beside[row * both + rank + i] = -start.b[row * start.rank + i];
            }
        }
        return new LowRankFactors(both, stacked, beside);
    }
}
