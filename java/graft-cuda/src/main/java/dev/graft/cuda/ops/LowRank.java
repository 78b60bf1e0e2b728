package dev.graft.cuda.ops;

import dev.graft.cuda.natives.LoraTermArray;
import dev.graft.cuda.natives.LoraTermArray.Mask;
import dev.graft.cuda.natives.LoraTermArray.Matrix;
import dev.graft.engine.Dropout;
import dev.graft.engine.LoraTerm;
import dev.graft.engine.Projection;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.Arena;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Calls of the kernels that do the low-rank work, for several adapters at once. */
final class LowRank {
    private final Gpu gpu;
    private final LoraTermArray terms = new LoraTermArray(Arena.ofAuto());

    LowRank(Gpu gpu) {
        this.gpu = gpu;
    }

    /** A launch over the terms collected so far. */
    @FunctionalInterface
    private interface Launch {
        void run();
    }

    /** {@code h = s dropout(x) Aᵀ} for every adapter, and a copy in x's border. */
    void shrinkInput(TensorView x, Borders borders, boolean bordered) {
        Launch launch = () -> gpu.check(
                gpu.kernels()
                        .loraShrinkInput(
                                gpu.stream(),
                                Gpu.code(x.dtype()),
                                gpu.at(x),
                                x.pitch(),
                                x.cols(),
                                terms.segment(),
                                terms.count(),
                                gpu.scratch(),
                                gpu.scratchBytes()),
                "linearForward, shrink",
                "x",
                x);
        for (Borders.Slot slot : borders.slots()) {
            add(slot.term(), bordered ? border(x, slot.column()) : Matrix.NONE, launch);
        }
        flush(launch);
    }

    /** {@code u = s dy B}, and a copy in dy's border, and {@code dB += dyᵀ h}, for the adapters of one projection. */
    void shrinkGradient(Projection p, Borders borders, boolean bordered) {
        Tensor dy = p.y();
        Launch launch = () -> gpu.check(
                gpu.kernels()
                        .loraShrinkGradient(
                                gpu.stream(),
                                Gpu.code(dy.dtype()),
                                gpu.at(dy),
                                dy.pitch(),
                                dy.cols(),
                                terms.segment(),
                                terms.count(),
                                gpu.scratch(),
                                gpu.scratchBytes()),
                "linearBackward, shrink",
                "dy",
                dy);
        for (Borders.Slot slot : borders.slots()) {
            add(slot.term(), bordered ? border(dy, slot.column()) : Matrix.NONE, launch);
        }
        flush(launch);
    }

    /**
     * {@code dA += uᵀ dropout(x)} for every adapter.
     *
     * @param aside on the second stream
     */
    void inputFactorGradient(TensorView x, Borders borders, boolean aside) {
        long stream = aside ? gpu.device().sideStream() : gpu.stream();
        long scratch = aside ? gpu.device().sideScratch() : gpu.scratch();
        long scratchBytes = aside ? gpu.device().settings().sideScratch() : gpu.scratchBytes();
        Launch launch = () -> gpu.check(
                gpu.kernels()
                        .loraInputFactorGradient(
                                stream,
                                Gpu.code(x.dtype()),
                                gpu.at(x),
                                x.pitch(),
                                x.cols(),
                                terms.segment(),
                                terms.count(),
                                scratch,
                                scratchBytes),
                "linearBackward, gradient of A",
                "x",
                x);
        for (Borders.Slot slot : borders.slots()) {
            add(slot.term(), Matrix.NONE, launch);
        }
        flush(launch);
    }

    /** {@code y += h Bᵀ} for each adapter on its rows. */
    void expandOutput(Tensor y, List<LoraTerm> adapters) {
        Launch launch = () -> gpu.check(
                gpu.kernels()
                        .loraExpandOutput(
                                gpu.stream(),
                                Gpu.code(adapters.getFirst().hidden().dtype()),
                                Gpu.code(y.dtype()),
                                gpu.at(y),
                                y.pitch(),
                                y.cols(),
                                terms.segment(),
                                terms.count()),
                "linearForward, expand",
                "y",
                y);
        for (LoraTerm term : adapters) {
            add(term, Matrix.NONE, launch);
        }
        flush(launch);
    }

    /** {@code dx += mask · (u A) / (1 - p)}. */
    void expandGradient(Tensor dx, LoraTerm adapter) {
        Launch launch = () -> gpu.check(
                gpu.kernels()
                        .loraExpandGradient(
                                gpu.stream(),
                                Gpu.code(dx.dtype()),
                                gpu.at(dx),
                                dx.pitch(),
                                dx.cols(),
                                terms.segment(),
                                terms.count()),
                "linearBackward, expand",
                "dx",
                dx);
        add(adapter, Matrix.NONE, launch);
        flush(launch);
    }

    private void add(LoraTerm term, Matrix border, Launch launch) {
        if (terms.isFull()) {
            flush(launch);
        }
        LoraTerm.Gradients gradients = term.gradients();
        terms.add(
                matrix(term.a()),
                matrix(term.b()),
                matrix(term.hidden()),
                matrix(gradients == null ? null : gradients.hidden()),
                border,
                matrix(gradients == null ? null : gradients.a()),
                matrix(gradients == null ? null : gradients.b()),
                term.fromRow(),
                term.toRow(),
                mask(term.dropout()),
                term.scale(),
                term.rank());
    }

    private void flush(Launch launch) {
        try {
            if (!terms.isEmpty()) {
                launch.run();
            }
        } finally {
            terms.clear();
        }
    }

    private Matrix matrix(@Nullable TensorView view) {
        return view == null ? Matrix.NONE : new Matrix(gpu.at(view), view.pitch());
    }

    private Matrix border(TensorView matrix, int column) {
        long offset = ((long) matrix.cols() + column) * matrix.dtype().byteSize();
        return new Matrix(gpu.at(matrix) + offset, matrix.pitch());
    }

    static boolean drops(LoraTerm term) {
        Dropout dropout = term.dropout();
        return dropout != null && dropout.probability() > 0;
    }

    /** (word >>> 8) · 2⁻²⁴ ≥ p, in integers. */
    static Mask mask(@Nullable Dropout dropout) {
        if (dropout == null || dropout.probability() == 0) {
            return Mask.NONE;
        }
        int threshold = (int) Math.ceil(dropout.probability() * 0x1.0p24);
        float scale = 1 / (1 - dropout.probability());
        return new Mask(dropout.seed(), dropout.step(), dropout.stream(), threshold, scale);
    }
}
