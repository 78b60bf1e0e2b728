package dev.graft.lora;

/** {@code ΔW = s B A}, what an adapter adds to a weight, and the length that DoRA gives to its rows, in float32. */
public final class LoraDelta {
    private LoraDelta() {}

    /**
     * Adds row {@code row} of ΔW: {@code weightRow[j] += s · Σ B[row, i] A[i, j]}, the sum over i in order.
     *
     * @param weightRow a row of W0 [k]; changed
     * @param a A [r, k] row by row
     * @param b B [d, r] row by row
     * @param scale s
     */
    public static void addRow(float[] weightRow, int row, float[] a, float[] b, float scale) {
        int k = weightRow.length;
        int rank = a.length / k;
        float[] delta = new float[k];
        for (int i = 0; i < rank; i++) {
            float factor = b[row * rank + i];
            for (int j = 0; j < k; j++) {
                delta[j] += factor * a[i * k + j];
            }
        }
        for (int j = 0; j < k; j++) {
            weightRow[j] += scale * delta[j];
        }
    }

    /** Scales a row of W0 + ΔW to length m: {@code weightRow ·= m / ‖weightRow‖}; a row of zeros stays as it is. */
    public static void scaleRow(float[] weightRow, float magnitude) {
        double squares = 0;
        for (float value : weightRow) {
            squares += (double) value * value;
        }
        if (squares == 0) {
            return;
        }
        float factor = magnitude / (float) Math.sqrt(squares);
        for (int j = 0; j < weightRow.length; j++) {
            weightRow[j] *= factor;
        }
    }
}
