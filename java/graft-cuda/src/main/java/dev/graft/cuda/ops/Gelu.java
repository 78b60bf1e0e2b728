package dev.graft.cuda.ops;

import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;

/** GELU and its gradient. */
public final class Gelu {
    private final Gpu gpu;

    public Gelu(Gpu gpu) {
        this.gpu = gpu;
    }

    public void forward(TensorView x, Tensor y) {
        int dtype = Gpu.code(y.dtype());
        gpu.check(
                gpu.kernels()
                        .geluForward(
                                gpu.stream(), dtype, gpu.at(x), x.pitch(), gpu.at(y), y.pitch(), y.rows(), y.cols()),
                "geluForward",
                "y",
                y);
    }

    public void backward(TensorView dy, TensorView x, Tensor dx) {
        gpu.check(
                gpu.kernels()
                        .geluBackward(
                                gpu.stream(),
                                Gpu.code(dx.dtype()),
                                gpu.at(dy),
                                dy.pitch(),
                                gpu.at(x),
                                x.pitch(),
                                gpu.at(dx),
                                dx.pitch(),
                                dx.rows(),
                                dx.cols()),
                "geluBackward",
                "dx",
                dx);
    }
}
