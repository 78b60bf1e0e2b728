package dev.graft.meta;

/** Arithmetic on flat float32 vectors of one length; sums are formed in float64. */
final class Vectors {
    private Vectors() {}

    static void copy(float[] from, float[] to) {
        System.arraycopy(from, 0, to, 0, to.length);
    }

    static double dot(float[] x, float[] y) {
        double sum = 0;
        for (int i = 0; i < x.length; i++) {
            sum += (double) x[i] * y[i];
        }
        return sum;
    }

    static double norm(float[] x) {
        return Math.sqrt(dot(x, x));
    }

    /** {@code z = x + a y}; z may be x or y. */
    static void add(float[] x, double a, float[] y, float[] z) {
        for (int i = 0; i < z.length; i++) {
            z[i] = (float) (x[i] + a * y[i]);
        }
    }

    /** What scales a vector of this norm down to the largest allowed: min(1, most / norm); 1 where {@code most} is 0. */
    static double clipFactor(double norm, double most) {
        return most > 0 && norm > most ? most / norm : 1;
    }
}
