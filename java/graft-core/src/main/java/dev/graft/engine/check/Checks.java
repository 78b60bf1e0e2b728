package dev.graft.engine.check;

import dev.graft.tensor.DType;
import dev.graft.tensor.TensorView;
import org.jspecify.annotations.Nullable;

/** Refuses arguments that do not fit, with one line that names the operation and what it was given. */
final class Checks {
    private Checks() {}

    /**
     * @param named a name, its tensor, the next name and so on; null tensors are left out of the message
     * @throws IllegalArgumentException {@code shape mismatch in rope: x f32[5, 576], positions i32[1, 4]}
     */
    static void shapes(boolean fit, String operation, @Nullable Object... named) {
        if (!fit) {
            throw new IllegalArgumentException(message("shape mismatch in " + operation, named));
        }
    }

    /** @throws IllegalArgumentException {@code dtype mismatch in swiglu: gate f32[5, 576], up bf16[5, 576]} */
    static void dtypes(boolean fit, String operation, @Nullable Object... named) {
        if (!fit) {
            throw new IllegalArgumentException(message("dtype mismatch in " + operation, named));
        }
    }

    private static String message(String start, @Nullable Object... named) {
        StringBuilder text = new StringBuilder(start);
        for (int i = 0; i < named.length; i += 2) {
            if (named[i + 1] != null) {
                text.append(i == 0 ? ": " : ", ").append(named[i]).append(' ').append(named[i + 1]);
            }
        }
        return text.toString();
    }

    static boolean isCompute(DType dtype) {
        return dtype == DType.F32 || dtype == DType.BF16;
    }

    static boolean sameShape(TensorView a, TensorView b) {
        return a.rows() == b.rows() && a.cols() == b.cols();
    }

    /** Whether {@code view} is [rows, cols], or absent. */
    static boolean isShape(@Nullable TensorView view, int rows, int cols) {
        return view == null || (view.rows() == rows && view.cols() == cols);
    }

    /** Whether {@code view} holds F32, or is absent. */
    static boolean isF32(@Nullable TensorView view) {
        return view == null || view.dtype() == DType.F32;
    }

    /** Whether all hold the compute dtype of the first; absent ones do. */
    static boolean sameCompute(TensorView first, @Nullable TensorView... others) {
        for (TensorView other : others) {
            if (other != null && other.dtype() != first.dtype()) {
                return false;
            }
        }
        return isCompute(first.dtype());
    }
}
