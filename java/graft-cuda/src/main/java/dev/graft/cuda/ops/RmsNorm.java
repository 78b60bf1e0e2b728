package dev.graft.cuda.ops;

import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import org.jspecify.annotations.Nullable;

/** RMSNorm and its gradients. */
public final class RmsNorm {
    private final Gpu gpu;

    public RmsNorm(Gpu gpu) {
        this.gpu = gpu;
    }

    public void forward(TensorView x, TensorView weight, float epsilon, Tensor y, Tensor rstd) {
        gpu.check(
                gpu.kernels()
                        .rmsNormForward(
                                gpu.stream(),
                                Gpu.code(x.dtype()),
                                gpu.at(x),
                                x.pitch(),
                                gpu.at(weight),
                                epsilon,
                                gpu.at(y),
                                y.pitch(),
                                gpu.at(rstd),
                                x.rows(),
                                x.cols()),
                "rmsNormForward",
                "x",
                x);
    }

    public void backward(
            TensorView dy,
            TensorView x,
            TensorView weight,
            TensorView rstd,
            Tensor dx,
            boolean accumulate,
            @Nullable Tensor weightGradient) {
        gpu.check(
                gpu.kernels()
                        .rmsNormBackward(
                                gpu.stream(),
                                Gpu.code(x.dtype()),
                                gpu.at(dy),
                                dy.pitch(),
                                gpu.at(x),
                                x.pitch(),
                                gpu.at(weight),
                                gpu.at(rstd),
                                gpu.at(dx),
                                dx.pitch(),
                                accumulate ? 1 : 0,
                                gpu.atOrZero(weightGradient),
                                x.rows(),
                                x.cols(),
                                gpu.scratch(),
                                gpu.scratchBytes()),
                "rmsNormBackward",
                "x",
                x);
    }
}
