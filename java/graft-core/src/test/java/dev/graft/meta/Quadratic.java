package dev.graft.meta;

import java.util.Random;

/** {@code L(θ) = ½ (θ - c)ᵀ H (θ - c) + q/4 Σ (θ - c)⁴}: for q = 0 everything about it is known in closed form. */
record Quadratic(double[][] h, double[] c, double q) implements Objective {
    /** A random one, H being symmetric and positive definite with eigenvalues of about 1 to 4. */
    static Quadratic random(int size, double q, long seed) {
        Random random = new Random(seed);
        double[][] root = new double[size][size];
        double[] centre = new double[size];
        for (int i = 0; i < size; i++) {
            centre[i] = random.nextGaussian();
            for (int j = 0; j < size; j++) {
                root[i][j] = random.nextGaussian() / Math.sqrt(size);
            }
        }
        double[][] h = new double[size][size];
        for (int i = 0; i < size; i++) {
            for (int j = 0; j < size; j++) {
                for (int k = 0; k < size; k++) {
                    h[i][j] += root[i][k] * root[j][k];
                }
            }
            h[i][i] += 1;
        }
        return new Quadratic(h, centre, q);
    }

    double[] gradient(double[] theta) {
        double[] gradient = new double[c.length];
        for (int i = 0; i < c.length; i++) {
            for (int j = 0; j < c.length; j++) {
                gradient[i] += h[i][j] * (theta[j] - c[j]);
            }
            gradient[i] += q * Math.pow(theta[i] - c[i], 3);
        }
        return gradient;
    }

    double loss(double[] theta) {
        double loss = 0;
        for (int i = 0; i < c.length; i++) {
            for (int j = 0; j < c.length; j++) {
                loss += 0.5 * (theta[i] - c[i]) * h[i][j] * (theta[j] - c[j]);
            }
            loss += q / 4 * Math.pow(theta[i] - c[i], 4);
        }
        return loss;
    }

    /** θ after the inner loop, all in float64. */
    double[] adapted(double[] theta, InnerLoop loop) {
        double[] adapted = theta.clone();
        for (int k = 0; k < loop.steps(); k++) {
            double[] gradient = gradient(adapted);
            double norm = 0;
            for (double g : gradient) {
                norm += g * g;
            }
            double factor = loop.learningRate() * Vectors.clipFactor(Math.sqrt(norm), loop.clipNorm());
            for (int i = 0; i < adapted.length; i++) {
                adapted[i] -= factor * gradient[i];
            }
        }
        return adapted;
    }

    @Override
    public double loss(float[] theta) {
        return loss(doubles(theta));
    }

    @Override
    public double lossAndGradient(float[] theta, float[] gradient) {
        Vectors.copy(floats(gradient(doubles(theta))), gradient);
        return loss(theta);
    }

    static double[] doubles(float[] values) {
        double[] doubles = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            doubles[i] = values[i];
        }
        return doubles;
    }

    static float[] floats(double[] values) {
        float[] floats = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            floats[i] = (float) values[i];
        }
        return floats;
    }
}
