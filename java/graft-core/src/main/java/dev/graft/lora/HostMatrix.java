package dev.graft.lora;

import java.util.stream.IntStream;

/**
 * A float32 matrix on the host, row by row, and its products with narrow float64 ones. All products are parallel; each number is
 * a sum in a fixed order, so results do not depend on the number of threads.
 */
record HostMatrix(int rows, int cols, float[] values) {
    /** Columns of one piece of work in products with the transpose. */
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
            for (int col = 0; col < cols; col++) {
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
            for (int row = 0; row < rows; row++) {
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
