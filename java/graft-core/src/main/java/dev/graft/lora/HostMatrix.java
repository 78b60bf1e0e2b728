package dev.graft.lora;

import java.util.stream.IntStream;

/**
 * A float32 matrix on the host, row by row, and its products with narrow float64 ones. All products are parallel; each number is
 * a sum in a fixed order, so results do not depend on the number of threads.
 */
record HostMatrix(int rows, int cols, float[] values) {
    /** Rows or columns of one piece of work. */
    private static final int BLOCK = 64;

    HostMatrix {
        if (values.length != (long) rows * cols) {
            throw new IllegalArgumentException(values.length + " numbers as [" + rows + ", " + cols + "]");
        }
    }

    /** {@code W X}; X [cols, width] row by row. */
    double[] times(double[] x, int width) {
        double[] y = new double[rows * width];
        IntStream.range(0, rows).parallel().forEach(row -> {
            int col = 0;
            for (; col + 4 <= cols; col += 4) {
                addFour(values, row * cols + col, 1, x, col * width, y, row * width, width);
            }
            for (; col < cols; col++) {
                add(values[row * cols + col], x, col * width, y, row * width, width);
            }
        });
        return y;
    }

    /** {@code Wᵀ Y}; Y [rows, width] row by row. */
    double[] transposeTimes(double[] y, int width) {
        double[] x = new double[cols * width];
        IntStream.range(0, Math.ceilDiv(cols, BLOCK)).parallel().forEach(block -> {
            int end = Math.min(cols, (block + 1) * BLOCK);
            int row = 0;
            for (; row + 4 <= rows; row += 4) {
                for (int col = block * BLOCK; col < end; col++) {
                    addFour(values, row * cols + col, cols, y, row * width, x, col * width, width);
                }
            }
            for (; row < rows; row++) {
                for (int col = block * BLOCK; col < end; col++) {
                    add(values[row * cols + col], y, row * width, x, col * width, width);
                }
            }
        });
        return x;
    }

    private static void add(double factor, double[] source, int from, double[] target, int to, int count) {
        for (int i = 0; i < count; i++) {
            target[to + i] += factor * source[from + i];
        }
    }

    /** As {@link #add} for four rows of {@code source} at once, which reads and writes {@code target} a fourth as often. */
    private static void addFour(
            float[] factors, int first, int step, double[] source, int from, double[] target, int to, int count) {
        double f0 = factors[first];
        double f1 = factors[first + step];
        double f2 = factors[first + 2 * step];
        double f3 = factors[first + 3 * step];
        for (int i = 0; i < count; i++) {
            target[to + i] += f0 * source[from + i]
                    + f1 * source[from + count + i]
                    + f2 * source[from + 2 * count + i]
                    + f3 * source[from + 3 * count + i];
        }
    }

    /** {@code W Wᵀ}, [rows, rows] row by row. */
    double[] gram() {
        HostMatrix transposed = transposed();
        double[] gram = new double[Math.multiplyExact(rows, rows)];
        IntStream.range(0, rows).parallel().forEach(row -> {
            for (int k = 0; k < cols; k++) {
                double factor = values[row * cols + k];
                for (int other = row; other < rows; other++) {
                    gram[row * rows + other] += factor * transposed.values[k * rows + other];
                }
            }
        });
        for (int row = 0; row < rows; row++) {
            for (int other = 0; other < row; other++) {
                gram[row * rows + other] = gram[other * rows + row];
            }
        }
        return gram;
    }

    HostMatrix transposed() {
        float[] turned = new float[values.length];
        IntStream.range(0, Math.ceilDiv(rows, BLOCK)).parallel().forEach(block -> {
            int end = Math.min(rows, (block + 1) * BLOCK);
            for (int col = 0; col < cols; col++) {
                for (int row = block * BLOCK; row < end; row++) {
                    turned[col * rows + row] = values[row * cols + col];
                }
            }
        });
        return new HostMatrix(cols, rows, turned);
    }
}
