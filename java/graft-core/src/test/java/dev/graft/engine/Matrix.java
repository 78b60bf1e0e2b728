package dev.graft.engine;

import java.util.Arrays;
import java.util.function.DoubleBinaryOperator;
import java.util.function.DoubleUnaryOperator;

/**
 * A float64 matrix for reference calculations.
 *
 * @param values row by row
 */
public record Matrix(int rows, int cols, double[] values) {
    public Matrix {
        if (values.length != rows * cols) {
            throw new IllegalArgumentException(values.length + " values for a matrix [" + rows + ", " + cols + "]");
        }
    }

    public static Matrix zeros(int rows, int cols) {
        return new Matrix(rows, cols, new double[rows * cols]);
    }

    public static Matrix of(int rows, int cols, float[] values) {
        double[] wide = new double[values.length];
        for (int i = 0; i < wide.length; i++) {
            wide[i] = values[i];
        }
        return new Matrix(rows, cols, wide);
    }

    public double at(int row, int col) {
        return values[row * cols + col];
    }

    public void set(int row, int col, double value) {
        values[row * cols + col] = value;
    }

    public void add(int row, int col, double value) {
        values[row * cols + col] += value;
    }

    /** A copy of rows {@code from} (inclusive) to {@code to} (exclusive). */
    public Matrix rows(int from, int to) {
        return new Matrix(to - from, cols, Arrays.copyOfRange(values, from * cols, to * cols));
    }

    /** Adds {@code other} to the rows from {@code fromRow} on. */
    public void addRows(int fromRow, Matrix other) {
        for (int i = 0; i < other.values.length; i++) {
            values[fromRow * cols + i] += other.values[i];
        }
    }

    public Matrix transposed() {
        Matrix result = zeros(cols, rows);
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < cols; j++) {
                result.values[j * rows + i] = values[i * cols + j];
            }
        }
        return result;
    }

    /** {@code this · other}; the inner loop runs along rows, so that the compiler can vectorise it. */
    public Matrix times(Matrix other) {
        if (cols != other.rows) {
            throw new IllegalArgumentException(
                    "[" + rows + ", " + cols + "] times [" + other.rows + ", " + other.cols + "]");
        }
        int n = other.cols;
        Matrix result = zeros(rows, n);
        for (int i = 0; i < rows; i++) {
            for (int k = 0; k < cols; k++) {
                double factor = values[i * cols + k];
                int from = k * n;
                int to = i * n;
                for (int j = 0; j < n; j++) {
                    result.values[to + j] += factor * other.values[from + j];
                }
            }
        }
        return result;
    }

    public Matrix scaled(double factor) {
        return map(value -> factor * value);
    }

    public Matrix plus(Matrix other) {
        return combine(other, Double::sum);
    }

    public Matrix map(DoubleUnaryOperator function) {
        return new Matrix(rows, cols, Arrays.stream(values).map(function).toArray());
    }

    /** The elements of both, combined one by one. */
    public Matrix combine(Matrix other, DoubleBinaryOperator function) {
        if (rows != other.rows || cols != other.cols) {
            throw new IllegalArgumentException(
                    "[" + rows + ", " + cols + "] with [" + other.rows + ", " + other.cols + "]");
        }
        Matrix result = zeros(rows, cols);
        for (int i = 0; i < values.length; i++) {
            result.values[i] = function.applyAsDouble(values[i], other.values[i]);
        }
        return result;
    }

    /** [1, cols]: the sums of the columns. */
    public Matrix columnSums() {
        Matrix sums = zeros(1, cols);
        for (int i = 0; i < values.length; i++) {
            sums.values[i % cols] += values[i];
        }
        return sums;
    }
}
