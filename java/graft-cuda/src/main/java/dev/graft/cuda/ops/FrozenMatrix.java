package dev.graft.cuda.ops;

import dev.graft.cuda.driver.DeviceMemory;
import dev.graft.cuda.driver.OnDevice;
import dev.graft.tensor.DType;
import dev.graft.tensor.TensorView;
import org.jspecify.annotations.Nullable;

/**
 * A frozen weight with room around it for low-rank factors, row-major [N + border, pitch]:
 *
 * <pre>
 *   [ W0 | B ]     y  = [x | s x Aᵀ] · [W0 | B]ᵀ
 *   [ A  | · ]     dx = [dy | s dy B] · [W0 ; A]
 * </pre>
 *
 * so that a layer with adapters is one product, as the layer without. W0 is written once, when it is loaded; the view that is given
 * out is read-only, and the borders are written before each product that reads them.
 */
public final class FrozenMatrix implements OnDevice {
    private final DeviceMemory memory;
    private final DType dtype;
    private final int rows;
    private final int cols;
    private final long pitch;
    private final int border;
    /** How the columns to the right were divided up last; what they leave out is zero. */
    private @Nullable Object rightLayout;

    FrozenMatrix(DeviceMemory memory, DType dtype, int rows, int cols, long pitch, int border) {
        this.memory = memory;
        this.dtype = dtype;
        this.rows = rows;
        this.cols = cols;
        this.pitch = pitch;
        this.border = border;
    }

    /** The matrix behind a whole frozen weight; null for anything else, a range of its rows included. */
    static @Nullable FrozenMatrix of(TensorView weight) {
        return weight.memory() instanceof FrozenMatrix matrix
                        && weight.rows() == matrix.rows
                        && weight.cols() == matrix.cols
                ? matrix
                : null;
    }

    /** W0, read-only. */
    TensorView weight() {
        return TensorView.readOnly(this, 0, dtype, rows, cols, pitch, border);
    }

    /** Columns to the right and rows below that factors may take. */
    int border() {
        return border;
    }

    /** {@code count} columns to the right of W0, [N, count], from column {@code from} of the border. */
    TensorView right(int from, int count) {
        long offset = ((long) cols + from) * dtype.byteSize();
        return TensorView.readOnly(memory, offset, dtype, rows, count, pitch, 0);
    }

    /** {@code count} rows below W0, [count, K], from row {@code from} of the border. */
    TensorView below(int from, int count) {
        long offset = ((long) rows + from) * pitch * dtype.byteSize();
        return TensorView.readOnly(memory, offset, dtype, count, cols, pitch, 0);
    }

    /** Remembers how the right border is divided up; returns whether it was divided otherwise before. */
    boolean changeRightLayout(Object layout) {
        boolean changed = !layout.equals(rightLayout);
        rightLayout = layout;
        return changed;
    }

    @Override
    public DeviceMemory range() {
        return memory;
    }

    @Override
    public long byteSize() {
        return memory.byteSize();
    }

    @Override
    public void close() {
        memory.close();
    }
}
