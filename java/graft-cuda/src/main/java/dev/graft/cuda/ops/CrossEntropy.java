package dev.graft.cuda.ops;

import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import org.jspecify.annotations.Nullable;

/** The loss of logits, and their gradient. */
public final class CrossEntropy {
    private final Gpu gpu;

    public CrossEntropy(Gpu gpu) {
        this.gpu = gpu;
    }

    public void losses(
            TensorView logits, TensorView targets, float gradScale, Tensor losses, @Nullable Tensor dlogits) {
        gpu.check(
                gpu.kernels()
                        .crossEntropy(
                                gpu.stream(),
                                gpu.at(logits),
                                logits.pitch(),
                                gpu.at(targets),
                                gradScale,
                                gpu.at(losses),
                                Gpu.code(dlogits == null ? DType.F32 : dlogits.dtype()),
                                gpu.atOrZero(dlogits),
                                dlogits == null ? 0 : dlogits.pitch(),
                                logits.rows(),
                                logits.cols()),
                "crossEntropy",
                "logits",
                logits);
    }
}
